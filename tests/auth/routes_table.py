"""Who gets through to each route of the service, written by hand. A new route needs a line here, or a test fails.

The first word says who gets through. Who does not is told 401 without a good token (pages send people to sign in), 404
about a tenant on which they have no role, and 403 otherwise.

    PUBLIC    everybody, without a token too
    ANY       whoever has a role anywhere; lists show what the caller may see
    READERS   member, admin or owner of the tenant
    MANAGERS  admin or owner of the tenant
    OWNERS    owner of the tenant
    CREATORS  the platform's creators
    PLATFORM  the platform's admins only, who get through everywhere
    VISITORS  as READERS, of the tenant that the gateway names; everybody else is told 403, since its host is public
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TABLE = """
PUBLIC    GET        /api/v1/openapi.json
ANY       GET        /api/v1/tenants
CREATORS  POST       /api/v1/tenants
READERS   GET        /api/v1/tenants/{slug}
MANAGERS  PUT        /api/v1/tenants/{slug}
MANAGERS  DELETE     /api/v1/tenants/{slug}
MANAGERS  POST       /api/v1/tenants/{slug}/preview
MANAGERS  POST       /api/v1/tenants/{slug}/up
MANAGERS  POST       /api/v1/tenants/{slug}/refresh
MANAGERS  POST       /api/v1/tenants/{slug}/rollback
MANAGERS  POST       /api/v1/tenants/{slug}/steps/{step}/retry
MANAGERS  POST       /api/v1/tenants/{slug}/steps/{step}/skip
READERS   GET        /api/v1/tenants/{slug}/cost
READERS   GET        /api/v1/tenants/{slug}/deployments
READERS   GET        /api/v1/deployments/{deployment_id}
READERS   GET        /api/v1/tenants/{slug}/manifests
READERS   GET        /api/v1/tenants/{slug}/manifests/{version}
READERS   GET        /api/v1/tenants/{slug}/members
OWNERS    PUT        /api/v1/tenants/{slug}/members/{subject}
OWNERS    DELETE     /api/v1/tenants/{slug}/members/{subject}
ANY       PUT        /api/v1/account/password
PLATFORM  PUT        /api/v1/accounts/{subject}/password
PLATFORM  DELETE     /api/v1/accounts/{subject}
ANY       GET        /api/v1/jobs
READERS   GET        /api/v1/jobs/{job_id}
READERS   GET        /api/v1/jobs/{job_id}/steps
READERS   GET        /api/v1/jobs/{job_id}/logs
MANAGERS  POST       /api/v1/jobs/{job_id}/cancel
MANAGERS  POST       /api/v1/jobs/{job_id}/retry
READERS   GET        /api/v1/jobs/{job_id}/events
READERS   WEBSOCKET  /api/v1/jobs/{job_id}/ws
ANY       GET        /api/v1/templates
ANY       GET        /api/v1/templates/{template_id}
PLATFORM  POST       /api/v1/templates
ANY       GET        /api/v1/lines
ANY       GET        /api/v1/lines/{kind}/schema
ANY       GET        /api/v1/audit
ANY       GET        /api/v1/webhooks
MANAGERS  POST       /api/v1/webhooks                                   of_the_tenant
PLATFORM  POST       /api/v1/webhooks                                   of_all_tenants
MANAGERS  GET        /api/v1/webhooks/{webhook_id}
MANAGERS  PATCH      /api/v1/webhooks/{webhook_id}
MANAGERS  DELETE     /api/v1/webhooks/{webhook_id}
MANAGERS  POST       /api/v1/webhooks/{webhook_id}/rotate
MANAGERS  POST       /api/v1/webhooks/{webhook_id}/test
MANAGERS  GET        /api/v1/webhooks/{webhook_id}/deliveries
MANAGERS  GET        /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}
MANAGERS  POST       /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend
PLATFORM  GET        /api/v1/system
VISITORS  GET        /api/v1/gateway/auth

CREATORS  POST       /api/cabinets/provision
ANY       GET        /api/templates
ANY       GET        /api/templates/{templateId}
READERS   GET        /api/deployments/{deploymentId}
MANAGERS  DELETE     /api/deployments/{deploymentId}

CREATORS  POST       /api/provision-department
READERS   GET        /api/provision-status/{id}                         of_a_department
MANAGERS  DELETE     /api/deprovision/{tenantId}                        of_a_department
ANY       GET        /api/departments
READERS   GET        /api/departments/{tenantId}/health                 of_a_department

CREATORS  POST       /api/isps/provision
ANY       POST       /api/isps/size
ANY       GET        /api/isps
READERS   GET        /api/isps/{tenantId}                               of_an_isp
READERS   GET        /api/isps/{tenantId}/health                        of_an_isp
MANAGERS  DELETE     /api/isps/{tenantId}                               of_an_isp

CREATORS  POST       /iam/tenants
MANAGERS  POST       /api/provisioning/tenants/{tenantId}/start         of_a_shop
READERS   GET        /api/provisioning/tenants/{tenantId}/status        of_a_shop
MANAGERS  POST       /api/provisioning/tenants/{tenantId}/retry         of_a_shop
MANAGERS  POST       /api/provisioning/tenants/{tenantId}/skip-step     of_a_shop
READERS   GET        /api/provisioning/tenants/{tenantId}/logs          of_a_shop

MANAGERS  POST       /api/v1/provisioning/jobs                          of_a_site
ANY       GET        /api/v1/provisioning/jobs
READERS   GET        /api/v1/provisioning/jobs/{job_id}                 of_a_site
MANAGERS  POST       /api/v1/provisioning/jobs/{job_id}/retry           of_a_site
MANAGERS  POST       /api/v1/provisioning/jobs/{job_id}/cancel          of_a_site
READERS   GET        /api/v1/provisioning/tenants/{tenant_id}/backups   of_a_site

PUBLIC    GET        /
PUBLIC    GET        /sign-in
PUBLIC    POST       /sign-in
PUBLIC    POST       /sign-out
PUBLIC    GET        /static/{digest}/{name}
ANY       GET        /account/password
ANY       POST       /account/password
ANY       GET        /tenants
CREATORS  GET        /tenants/new
CREATORS  POST       /tenants/new
READERS   GET        /tenants/{slug}
READERS   GET        /tenants/{slug}/cost
READERS   GET        /tenants/{slug}/health
MANAGERS  GET        /tenants/{slug}/edit
MANAGERS  POST       /tenants/{slug}/edit
MANAGERS  POST       /tenants/{slug}/preview
MANAGERS  POST       /tenants/{slug}/refresh
MANAGERS  GET        /tenants/{slug}/destroy
MANAGERS  POST       /tenants/{slug}/destroy
MANAGERS  GET        /tenants/{slug}/rollback/{run_id}
MANAGERS  POST       /tenants/{slug}/rollback/{run_id}
READERS   GET        /tenants/{slug}/deployments/{run_id}
READERS   GET        /tenants/{slug}/manifests/{version}
CREATORS  GET        /workspaces/new
CREATORS  POST       /workspaces/new
READERS   GET        /workspaces/{slug}                                 of_a_shop
MANAGERS  POST       /workspaces/{slug}/retry                           of_a_shop
MANAGERS  POST       /workspaces/{slug}/start                           of_a_shop
MANAGERS  POST       /workspaces/{slug}/cancel                          of_a_shop
MANAGERS  POST       /workspaces/{slug}/steps/{step}/{what}             of_a_shop
ANY       GET        /jobs
READERS   GET        /jobs/{job_id}
MANAGERS  POST       /jobs/{job_id}/apply                               of_a_preview
MANAGERS  POST       /jobs/{job_id}/cancel
MANAGERS  POST       /jobs/{job_id}/retry
MANAGERS  POST       /jobs/{job_id}/steps/{step}/{what}
ANY       GET        /templates
ANY       GET        /templates/{template_id}
ANY       GET        /audit
PLATFORM  GET        /system
ANY       GET        /webhooks
ANY       GET        /webhooks/new
MANAGERS  POST       /webhooks/new                                      of_the_tenant
PLATFORM  POST       /webhooks/new                                      of_all_tenants
MANAGERS  GET        /webhooks/{webhook_id}
MANAGERS  POST       /webhooks/{webhook_id}/switch
MANAGERS  POST       /webhooks/{webhook_id}/ping
MANAGERS  POST       /webhooks/{webhook_id}/rotate
MANAGERS  POST       /webhooks/{webhook_id}/delete
MANAGERS  POST       /webhooks/{webhook_id}/deliveries/{delivery}/resend

PUBLIC    GET        /healthz
PUBLIC    GET        /readyz
PUBLIC    GET        /metrics
"""

ROLES = ("member", "tenant_admin", "owner", "creator", "platform_admin")
GET_THROUGH = {
    "ANY": {*ROLES, "outsider"},
    "READERS": {"member", "tenant_admin", "owner", "platform_admin"},
    "MANAGERS": {"tenant_admin", "owner", "platform_admin"},
    "OWNERS": {"owner", "platform_admin"},
    "CREATORS": {"creator", "platform_admin"},
    "PLATFORM": {"platform_admin"},
    "VISITORS": {"member", "tenant_admin", "owner", "platform_admin"},
}
OF_A_TENANT = {"READERS", "MANAGERS", "OWNERS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `case` names what the request is about, where the path does not say it."""

    who: str
    method: str
    path: str
    case: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    def expected(self, caller: str) -> str:
        """What becomes of a caller's request: `through`, or the status that it is refused with."""
        if self.who == "PUBLIC":
            return "through"
        if caller in {"nobody", "forger", "latecomer"}:
            return "401"
        if caller in GET_THROUGH[self.who]:
            return "through"
        stranger = caller in {"outsider", "creator"}
        return "404" if self.who in OF_A_TENANT and stranger else "403"


def rows() -> Iterator[Row]:
    """The lines of the table."""
    for line in filter(None, TABLE.splitlines()):
        who, method, path, *case = line.split()
        yield Row(who=who, method=method, path=path, case="".join(case))
