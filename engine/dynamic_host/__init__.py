"""The engine's own host for the Python SDK's dynamic providers, the package `pulumi-python`: a plugin like any other.

It speaks the SDK's protocol and answers as the SDK's host (`python -m pulumi.dynamic`) does, without its limits: more
than four calls at once, a bounded number of providers in memory, customTimeouts kept, Cancel told to providers that
want to know, and an answer even to a call that ends with `sys.exit`. It runs with the project's Python, which need not
have the engine installed: it imports Pulumi's SDK and of ours only `engine.rpc`, relatively, since `__main__` gives the
engine a name that no program can have.
"""
