"""A look at a region's cluster, beside what the kubernetes provider does there.

Decides how long is waited for it, and that what cannot be seen is told as the providers of ours tell it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from providers.backends import KubernetesBackend
from providers.errors import NoTokenError, UnreachableError

if TYPE_CHECKING:
    from providers.kubernetes.cluster import ApiCluster


@contextlib.contextmanager
def looking(backend: KubernetesBackend, *, call_seconds: float, patience: float = 0.0) -> Iterator[ApiCluster]:
    """The cluster. A call may take `call_seconds`, and is tried again for `patience`.

    Raises UnreachableError, NoTokenError among them.
    """
    from providers.kubernetes.cluster import ApiCluster
    from providers.kubernetes.config import resolve
    from providers.plugin.errors import ProviderError

    given = {"kubeconfig": backend.kubeconfig, "context": backend.context}
    try:
        config = resolve({key: value for key, value in given.items() if value})
        if config.chosen.lacks_token:
            raise NoTokenError("this process has no token of the cluster that it runs in")
        yield ApiCluster(replace(config, timeout=call_seconds, patience=patience))
    except ProviderError as error:
        raise UnreachableError(str(error)) from None
