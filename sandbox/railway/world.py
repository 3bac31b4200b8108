"""What the simulated Railway keeps, and what each question and change does to it. Knows neither GraphQL nor HTTP.

Objects are dictionaries with the schema's own field names. Each method is a field of the schema's Query or Mutation.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
_ADVANCE = {"QUEUED": "BUILDING", "BUILDING": "DEPLOYING"}
_ENDS = {"fails": "FAILED", "crashes": "CRASHED"}
_PAGE = 100


class RefusedError(Exception):
    """What Railway would say."""


class World:
    """Everything in one workspace. `kept` is all of it, as JSON would have it."""

    def __init__(self, workspace: str, kept: dict[str, dict[str, Row]] | None = None) -> None:
        self.workspace = workspace
        names = ("projects", "environments", "services", "instances", "variables", "domains", "deployments")
        self.kept: dict[str, dict[str, Row]] = kept or {name: {} for name in names}

    # Projects

    def projects(
        self, workspaceId: str | None = None, first: int | None = None, after: str | None = None, **_more: Any
    ) -> Row:
        self._workspace(workspaceId)
        rows = [row for row in self.kept["projects"].values() if not row["deletedAt"]]
        return _page([self._project(row) for row in rows], first, after)

    def project(self, id: str) -> Row:
        return self._project(self._row("projects", id, "Project"))

    def projectCreate(self, input: Row) -> Row:
        self._workspace(input.get("workspaceId"))
        row = _new(name=input["name"], description=input.get("description"), workspaceId=self.workspace)
        self.kept["projects"][row["id"]] = row
        environment = _new(name=input.get("defaultEnvironmentName") or "production", projectId=row["id"])
        self.kept["environments"][environment["id"]] = environment
        return self._project(row)

    def projectDelete(self, id: str) -> bool:
        self._row("projects", id, "Project")["deletedAt"] = _now()
        for service in self._of("services", projectId=id):
            self.serviceDelete(service["id"])
        return True

    # Services

    def serviceCreate(self, input: Row) -> Row:
        project = self._row("projects", input["projectId"], "Project")
        if any(row["name"] == input.get("name") for row in self._of("services", projectId=project["id"])):
            raise RefusedError(f'A service named "{input["name"]}" already exists in this project')
        row = _new(name=input.get("name") or f"service-{uuid.uuid4().hex[:4]}", projectId=project["id"], icon=None)
        self.kept["services"][row["id"]] = row
        environment = self._of("environments", projectId=project["id"])[0]["id"]
        self.kept["instances"][row["id"]] = _new(
            serviceId=row["id"], environmentId=environment, source=input.get("source"), numReplicas=1
        ) | {"restartPolicyType": "ON_FAILURE", "restartPolicyMaxRetries": 10}
        self.kept["variables"][row["id"]] = dict(input.get("variables") or {})
        if input.get("source"):
            self.serviceInstanceDeployV2(row["id"], environment)
        return row

    def serviceDelete(self, id: str, environmentId: str | None = None) -> bool:
        self._row("services", id, "Service")["deletedAt"] = _now()
        self.kept["instances"][id]["deletedAt"] = _now()
        for domain in self._of("domains", serviceId=id):
            domain["deletedAt"] = _now()
        for deployment in self._of("deployments", serviceId=id):
            deployment["status"] = "REMOVED"
        return True

    def serviceInstance(self, environmentId: str, serviceId: str) -> Row:
        row = self._instance(serviceId, environmentId)
        deployments = self._of("deployments", serviceId=serviceId)
        return {**row, "latestDeployment": deployments[-1] if deployments else None}

    def serviceInstanceUpdate(self, serviceId: str, input: Row, environmentId: str | None = None) -> bool:
        self._instance(serviceId, environmentId).update(input)
        return True

    def serviceInstanceLimitsUpdate(self, input: Row) -> bool:
        row = self._instance(input["serviceId"], input["environmentId"])
        row["limits"] = {"vCPUs": input.get("vCPUs"), "memoryGB": input.get("memoryGB")}
        return True

    # Variables

    def variables(self, projectId: str, environmentId: str, serviceId: str | None = None, **_more: Any) -> Row:
        self._row("projects", projectId, "Project")
        service = self._instance(serviceId or "", environmentId)["serviceId"]
        given = {
            "RAILWAY_PROJECT_ID": projectId,
            "RAILWAY_ENVIRONMENT_ID": environmentId,
            "RAILWAY_SERVICE_ID": service,
        }
        return {**self.kept["variables"][service], **given}

    def variableCollectionUpsert(self, input: Row) -> bool:
        service = self._instance(input["serviceId"], input["environmentId"])["serviceId"]
        old = {} if input.get("replace") else self.kept["variables"][service]
        self.kept["variables"][service] = {**old, **input["variables"]}
        if not input.get("skipDeploys"):
            self.serviceInstanceDeployV2(service, input["environmentId"])
        return True

    # Domains

    def domains(self, projectId: str, environmentId: str, serviceId: str) -> Row:
        self._row("projects", projectId, "Project")
        self._instance(serviceId, environmentId)
        return {"serviceDomains": self._of("domains", serviceId=serviceId)}

    def serviceDomainCreate(self, input: Row) -> Row:
        service = self._row("services", input["serviceId"], "Service")
        row = _new(**{**input, "projectId": service["projectId"], "suffix": "up.railway.app"})
        row["domain"] = f"{service['name']}-production-{row['id'][:4]}.up.railway.app"
        self.kept["domains"][row["id"]] = row
        return row

    def serviceDomainDelete(self, id: str) -> bool:
        self._row("domains", id, "ServiceDomain")["deletedAt"] = _now()
        return True

    # Deployments

    def serviceInstanceDeployV2(self, serviceId: str, environmentId: str, commitSha: str | None = None) -> str:
        instance = self._instance(serviceId, environmentId)
        image = (instance.get("source") or {}).get("image")
        if not image:
            raise RefusedError("Service has no source to deploy")
        project = self.kept["services"][serviceId]["projectId"]
        row = _new(serviceId=serviceId, environmentId=environmentId, projectId=project, status="QUEUED", image=image)
        row["variables"] = dict(self.kept["variables"][serviceId])
        self.kept["deployments"][row["id"]] = row
        return str(row["id"])

    def deployment(self, id: str) -> Row:
        row = self._row("deployments", id, "Deployment")
        seen = dict(row)
        if row["status"] == "DEPLOYING":
            row["status"] = _ENDS.get(row["image"].rpartition(":")[2], "SUCCESS")
            if row["status"] == "SUCCESS":
                self._retire(row)
        row["status"] = _ADVANCE.get(row["status"], row["status"])
        return seen

    def deploymentRemove(self, id: str) -> bool:
        self._row("deployments", id, "Deployment")["status"] = "REMOVED"
        return True

    def _retire(self, newest: Row) -> None:
        for row in self._of("deployments", serviceId=newest["serviceId"]):
            if row["id"] != newest["id"]:
                row["status"] = "REMOVED"

    # Common

    def _workspace(self, given: str | None) -> None:
        if given not in {None, self.workspace}:
            raise RefusedError("Not Authorized")

    def _project(self, row: Row) -> Row:
        linked = {name: _page(self._of(name, projectId=row["id"])) for name in ("environments", "services")}
        return {**row, **linked}

    def _instance(self, service: str, environment: str | None) -> Row:
        row = self._row("instances", service, "ServiceInstance")
        if environment not in {None, row["environmentId"]}:
            raise RefusedError("ServiceInstance not found")
        return row

    def _row(self, kind: str, key: str, word: str) -> Row:
        row = self.kept[kind].get(key)
        if row is None or row["deletedAt"]:
            raise RefusedError(f"{word} not found")
        return row

    def _of(self, kind: str, **where: str) -> list[Row]:
        rows = self.kept[kind].values()
        return [row for row in rows if not row["deletedAt"] and all(row.get(key) == at for key, at in where.items())]


def _page(rows: list[Row], first: int | None = None, after: str | None = None) -> Row:
    begin = next((index + 1 for index, row in enumerate(rows) if row["id"] == after), 0)
    shown = rows[begin : begin + min(first or _PAGE, _PAGE)]
    more = begin + len(shown) < len(rows)
    info = {"hasNextPage": more, "hasPreviousPage": begin > 0, "endCursor": shown[-1]["id"] if shown else None}
    return {"edges": [{"cursor": row["id"], "node": row} for row in shown], "pageInfo": info}


def _new(**values: Any) -> Row:
    return {"id": str(uuid.uuid4()), "createdAt": _now(), "deletedAt": None, **values}


def _now() -> str:
    return datetime.now(UTC).isoformat()


FIELDS: Mapping[str, tuple[str, ...]] = {
    "Query": ("projects", "project", "serviceInstance", "variables", "domains", "deployment"),
    "Mutation": (
        *("projectCreate", "projectDelete", "serviceCreate", "serviceDelete", "serviceInstanceUpdate"),
        *("serviceInstanceLimitsUpdate", "serviceInstanceDeployV2", "variableCollectionUpsert"),
        *("serviceDomainCreate", "serviceDomainDelete", "deploymentRemove"),
    ),
}
