"""What can go wrong with a sandbox server.

SandboxError
├── PortTakenError      another program listens on the wanted port
├── DiskFullError       the server could not write its files
├── StartError          the server did not start; the message carries its own last words
└── StopError           the server did not stop
"""


class SandboxError(Exception):
    """Says which server, why, and what to do."""


class PortTakenError(SandboxError):
    pass


class DiskFullError(SandboxError):
    pass


class StartError(SandboxError):
    pass


class StopError(SandboxError):
    pass
