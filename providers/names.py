"""What a tenant's objects are called, where more than one part must know. Pure."""

from __future__ import annotations

from collections.abc import Iterable

WHERE_TO_LISTEN = ("HOST", "PORT")
"""Variables that say where an application must listen: its platform gives them."""
KUBERNETES_TENANT = "tenantry.dev/tenant"
"""On Kubernetes: the label that holds a tenant's slug, and the annotation that holds its mark."""
DATA_VARIABLE = "ISP_DATA"
"""Says where an ISP's application finds its volume."""
GIVEN_VARIABLES = frozenset(
    {
        *WHERE_TO_LISTEN,
        *("TENANT", "DATABASE_URL", "PUBLIC_URL"),
        *("OAUTH_TOKEN_ENDPOINT", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPE", "OAUTH_CA_PEM"),
    }
)
"""What applications are told, which no manifest may say otherwise."""
ISP_VARIABLES = frozenset({"ISP_CUSTOMERS", "ISP_PLAN", "ISP_FEATURES", "ISP_CONNECTIONS", DATA_VARIABLE})
"""What the application of an ISP is told beside them."""
HEALTH_PATH = r"/[A-Za-z0-9._~/-]{0,199}"
"""What every platform takes as a path to ask: without escapes, which not all of them read alike."""


def department_identifier(slug: str) -> str:
    """A department's slug as a PostgreSQL identifier: at most 51 characters, and no two slugs give the same."""
    return f"department_{slug.replace('-', '_')}"


def workflow_versions(names: Iterable[str] | None) -> dict[str, str]:
    """By id, the versions in a department's record, where a workflow's template is called `id@version`."""
    return dict(name.split("@", 1) for name in names or ())


def isp_identifier(slug: str) -> str:
    """An ISP's slug as a PostgreSQL identifier: at most 44 characters, and no two slugs give the same."""
    return f"isp_{slug.replace('-', '_')}"
