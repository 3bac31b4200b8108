"""Containers as processes under supervisor, on this machine: for development, where there is no container engine.

`files` keeps a process's document and its program file, `rpc` calls supervisor, `launch` is what supervisor starts,
`process` is the dynamic provider. A process is not isolated: it runs as supervisor does, and sees this machine.
"""
