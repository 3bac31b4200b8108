"""A tenant's project on Railway. Decides whose a project is: the tenant mark is in its description."""

from __future__ import annotations

import contextlib
from typing import Any

import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.errors import OwnershipError, ProviderError, RefusedError, UnreachableError
from providers.props import diff_of, required
from providers.railway import queries
from providers.railway.api import GoneError, Railway, nodes

IDENTITY = ("region", "name", "tenant_mark")
ENVIRONMENT = "production"
_MARK = "Made by Tenantry for "
_MOST_PAGES = 100
_BROKEN = 500


class RailwayProjectProvider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        return required(news, IDENTITY)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=())

    def create(self, props: dict[str, Any]) -> CreateResult:
        railway = _railway(props)
        found = _mine(railway, props) or _made(railway, props)
        return CreateResult(str(found["id"]), _outputs(props, found))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            found = _railway(props).ask(queries.PROJECT, id=id_)
        except GoneError:
            return ReadResult("", {})
        if found["deletedAt"] or found["description"] != _description(props):
            return ReadResult("", {})
        return ReadResult(id_, _outputs({**props, "name": found["name"]}, found))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        raise ProviderError(f"project {_news['name']!r}: nothing of a project is changed in place.")

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        _railway(_props).remove(queries.PROJECT_DELETE, id=_id)


class RailwayProject(Resource, module="tenantry", name="RailwayProject"):
    project_id: pulumi.Output[str]
    environment_id: pulumi.Output[str]

    def __init__(self, name: str, props: dict[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        values = {**props, "project_id": None, "environment_id": None}
        super().__init__(RailwayProjectProvider(), name, values, opts)


def _railway(props: dict[str, Any]) -> Railway:
    return Railway.of(str(props["region"]), f"Railway project {props['name']!r}")


def _made(railway: Railway, props: dict[str, Any]) -> dict[str, Any]:
    given = {"name": props["name"], "description": _description(props), "defaultEnvironmentName": ENVIRONMENT}
    workspace = {"workspaceId": railway.workspace} if railway.workspace else {}
    try:
        return dict(railway.make(queries.PROJECT_CREATE, input={**given, **workspace}))
    except (UnreachableError, RefusedError) as error:
        if isinstance(error, RefusedError) and error.status < _BROKEN:
            raise
        # The answer was lost, not necessarily the request: a failed creation is in no state, and would be left behind.
        found = None
        with contextlib.suppress(ProviderError):
            found = _mine(railway, props)
        if found is None:
            raise
        return found


def _mine(railway: Railway, props: dict[str, Any]) -> dict[str, Any] | None:
    """The tenant's project, from a run that was cut off. Raises OwnershipError for another's of this name."""
    after: str | None = None
    for _ in range(_MOST_PAGES):
        page = railway.ask(queries.PROJECTS, workspaceId=railway.workspace, after=after)
        for project in nodes(page):
            if project["name"] != props["name"] or project["deletedAt"]:
                continue
            if project["description"] == _description(props):
                return dict(project)
            owner = str(project["description"] or "").removeprefix(_MARK) or "somebody else"
            raise OwnershipError(f"Railway project {props['name']!r}: it belongs to {owner}. Choose another name.")
        if not page["pageInfo"]["hasNextPage"]:
            return None
        if page["pageInfo"]["endCursor"] == after:
            break
        after = page["pageInfo"]["endCursor"]
    raise ProviderError(
        f"Railway project {props['name']!r}: {railway.api.name} lists projects without an end (at most {_MOST_PAGES} "
        "pages are read), so it is not known whether it is there. Retry, or give container.workspace one with fewer."
    )


def _description(props: dict[str, Any]) -> str:
    return f"{_MARK}{props['tenant_mark']}"


def _outputs(props: dict[str, Any], project: dict[str, Any]) -> dict[str, Any]:
    environments = {node["name"]: node["id"] for node in nodes(project["environments"])}
    if ENVIRONMENT not in environments:
        raise ProviderError(
            f"Railway project {props['name']!r}: it has no environment {ENVIRONMENT!r}. Remove the project, then retry."
        )
    kept = {name: props[name] for name in IDENTITY}
    return {**kept, "project_id": project["id"], "environment_id": environments[ENVIRONMENT]}
