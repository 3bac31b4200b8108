"""The providers' error tree. A message is one line: which object, why, and what to do. It never holds a secret.

ProviderError > ConfigurationError, UnreachableError, OwnershipError

The dynamic provider host reports a traceback; its last line is the one that a reader is shown.
"""

from __future__ import annotations


class ProviderError(Exception):
    """Something that a provider could not do."""


class ConfigurationError(ProviderError):
    """The environment does not say how to connect."""


class UnreachableError(ProviderError):
    """The server cannot be reached, or refuses the login."""


class OwnershipError(ProviderError):
    """The object is there and is someone else's."""
