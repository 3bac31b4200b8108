"""The embedded Pulumi engine: one deployment engine in Python, with nothing of Tenantry in it.

`command.EmbeddedCommand` is the way in from a program, `python -m engine` the one by hand. docs/engine.md has the modules,
from bottom to top: each imports only from those below it.
"""
