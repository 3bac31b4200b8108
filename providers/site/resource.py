"""A tenant's site: made once with its apps, taken up where a run left it, backed up before it is dropped.

Decides what of a site may change (apps are added, never taken off: that deletes their data), and that one whose backup
fails is not dropped. Whose a site is, `lifecycle` decides. The administrator's password is an input that no output,
message or command's argument has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from providers.errors import ConfigurationError, ProviderError
from providers.moved import check_kept
from providers.props import diff_of, required
from providers.site.backups import Going, Tenant, take
from providers.site.lifecycle import Todo, bring_up, complete, decide, given_up, missing, needs_backup, seen, versions
from providers.site.names import apps_problem, site_problem
from providers.site.region import operations_of, store_of
from providers.site.seam import App, Heard, NewSite, SiteOperations

IDENTITY = ("region", "site", "tenant_mark")
OWNED = ("apps", "backup_on_delete", "whole")
_GIVEN_UP: set[str] = set()
"""The URNs of the resources whose calls are to end: a process of this host serves one run, and then ends."""


class SiteProvider(ResourceProvider):
    serialize_as_secret_always = False

    def give_up(self, urn: str, _operation: str) -> None:
        """Asked for by the host where a run is cancelled: bench is stopped, and what it has half made is removed.

        The SDK's own host knows no such call: there the end of its process stops bench.
        """
        _GIVEN_UP.add(urn)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        # A password that is still to be made is not known in a preview.
        fields = (*IDENTITY, "admin_password") if news.get("admin_password") == "" else IDENTITY
        result = required(news, fields)
        problems = {
            "site": site_problem(news["site"]) if news.get("site") else None,
            "apps": apps_problem(news.get("apps")),
        }
        result.failures.extend(CheckFailure(name, why) for name, why in problems.items() if why)
        for name in IDENTITY:
            if _olds.get(name) is not None and _olds[name] != news.get(name):
                reason = (
                    f"this site has {_olds[name]!r}, and its data would be lost on the way: leave it so, or make "
                    "another site and restore a backup there"
                )
                result.failures.append(CheckFailure(name, reason))
        return result

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return diff_of(_olds, _news, identity=IDENTITY, owned=OWNED)

    def create(self, props: dict[str, Any]) -> CreateResult:
        ops = operations_of(props["region"], going=_going())
        if props["backup_on_delete"]:
            # Said before anything is made, and not on the day when it is to be removed.
            store_of(props["region"]).demand()
        up = bring_up(ops, _new(props), list(props["apps"]), _heard())
        return CreateResult(str(props["site"]), _outs(props, ops, up.apps))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        ops = _kept(props)
        found = ops.look(id_)
        if found.half_restored and found.is_of(id_, str(props["tenant_mark"])):
            # Bench may tell nothing of it. An up finds it changed, and says what is to be done.
            kept = {name: value for name, value in props.items() if name != "admin_password"}
            return ReadResult(id_, {**kept, "server": ops.name, "whole": False})
        apps = seen(ops, id_, str(props["tenant_mark"]))
        if apps is None:
            return ReadResult("", {})
        lost = missing(list(props["apps"]), apps)
        wanted = [app for app in props["apps"] if app not in lost]
        return ReadResult(id_, {**_outs(props, ops, apps), "apps": wanted})

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        if gone := given_up(list(_olds.get("apps") or ()), list(_news["apps"])):
            raise ConfigurationError(
                f"site {_id!r}: {', '.join(gone)} is installed, and taking it off deletes its data. List it again; or "
                f"run `bench --site {_id} uninstall-app {gone[0]}` by hand, then refresh, then up."
            )
        ops = _kept({**_news, "server": _olds.get("server")})
        if _news["backup_on_delete"]:
            store_of(_news["region"])
        apps = complete(ops, _id, str(_news["tenant_mark"]), list(_news["apps"]), _heard())
        return UpdateResult(_outs(_news, ops, apps))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        remove(_kept(_props), _props, _heard(), _going())


class Site(Resource, module="tenantry", name="Site"):
    """`installed` are the versions of its apps, by their names, frappe among them."""

    site: pulumi.Output[str]
    installed: pulumi.Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        *,
        region: str,
        tenant_mark: str,
        site: str,
        apps: Sequence[str],
        admin_password: pulumi.Input[str],
        backup_on_delete: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`site` is its host name, `apps` what is installed beside frappe, in that order.

        `admin_password` is what its Administrator gets when it is made or taken up; later, it changes nothing.
        """
        props = {"region": region, "tenant_mark": tenant_mark, "site": site, "apps": list(apps)}
        password = pulumi.Output.secret(admin_password)
        more = {"backup_on_delete": backup_on_delete, "whole": True, "admin_password": password}
        more |= {"installed": None, "server": None}
        super().__init__(SiteProvider(), name, {**props, **more}, opts)


def remove(ops: SiteOperations, props: Mapping[str, Any], heard: Heard, going: Going = lambda: True) -> None:
    """The site is gone afterwards, backed up where that is wanted. Another's stays. Raises ProviderError."""
    site, mark = str(props["site"]), str(props["tenant_mark"])
    found = ops.look(site)
    todo = decide(found, site, mark)
    if todo in {Todo.CREATE, Todo.LEAVE}:
        return
    if props.get("backup_on_delete", True) and needs_backup(ops, site, found):
        try:
            store, now = store_of(str(props["region"])), datetime.now(UTC)
            take(ops, store, Tenant(site=site, mark=mark), now=now, heard=heard, going=going)
        except ProviderError as error:
            kind = type(error) if isinstance(error, ConfigurationError) else ProviderError
            raise kind(
                f"site {site!r} is not dropped, as it could not be backed up: {error} To drop it without a backup, set "
                "backup_on_delete to false, run up, then destroy."
            ) from None
    ops.drop(site, mark, heard)


def _new(props: Mapping[str, Any]) -> NewSite:
    return NewSite(site=str(props["site"]), mark=str(props["tenant_mark"]), admin_password=str(props["admin_password"]))


def _outs(props: Mapping[str, Any], ops: SiteOperations, apps: tuple[App, ...]) -> dict[str, Any]:
    """What is kept in the state: no password."""
    kept = {name: props[name] for name in (*IDENTITY, "apps", "backup_on_delete")}
    return {**kept, "whole": True, "installed": versions(apps), "server": ops.name}


def _kept(props: Mapping[str, Any]) -> SiteOperations:
    """The region's bench. Raises ConfigurationError where the site is on the region's bench of before."""
    ops = operations_of(str(props["region"]), going=_going())
    site, mark = str(props["site"]), str(props["tenant_mark"])

    def there() -> bool:
        return ops.look(site).is_of(site, mark)

    check_kept(props.get("server"), ops.name, what=f"site {site!r}", key="site", there=there)
    return ops


def _going() -> Going:
    """Whether the call that this is asked in is still waited for."""
    from providers.live import current_urn

    urn = current_urn()
    return lambda: urn not in _GIVEN_UP


def _heard() -> Callable[[object], None]:
    """What shows a command's progress beside the resource, once for each change of it."""
    from providers.live import speaker

    say, last = speaker(), [""]

    def heard(progress: object) -> None:
        if str(progress) != last[0]:
            last[0] = str(progress)
            say(last[0])

    return heard
