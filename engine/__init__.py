"""The embedded Pulumi engine: one deployment engine in Python, with nothing of Tenantry in it.

`command.EmbeddedCommand` is the way in from a program, `python -m engine` the one by hand. docs/engine.md lists the
modules; none imports, however indirectly, what imports it.
"""
