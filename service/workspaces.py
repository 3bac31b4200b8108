"""What callers do to workspaces, which are points of sale (POS-1, POS-5, POS-6), for the API and the page alike.

Decides what becomes of a request for one: its slug, its owner, and whether its provisioning waits for its engine. What
is done to a tenant is `actions`', which also says who may; what its rows mean is `provisioning`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automation.errors import NotFoundError
from automation.jobs import reading, waiting
from automation.jobs.database import looking_up
from automation.jobs.model import BusyError, ConflictError
from providers.errors import ConfigurationError
from service import actions, lookups, provisioning, workspace_requests
from service.auth.accounts import Entry
from service.auth.permissions import Permission
from service.auth.principal import Principal
from service.lines.words import RequestError, mapping
from service.lookups import TenantRow
from service.provisioning import Known
from service.state import State
from service.workspace_requests import WORDS, Wanted
from stacks.lines import POS
from stacks.pos.engine import DEFAULT, NAMES, EngineHealth, regions_of
from stacks.problems import ManifestError

PASSWORD, PROVIDER, TOKEN = "password", "identity_provider", "token"
_OF_ONE_NAME = (range(1, 10), range(10, 100), range(100, 1_000))
"""The numbers of those that are called alike, in the portions in which a free one is looked for."""
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A workspace that was asked for. `signs_in_by` is how its admin does: PASSWORD, PROVIDER, or TOKEN.

    `known`: the address is somebody's from before, who signs in as before. The password of the request is not kept.
    """

    submitted: actions.Submitted
    wanted: Wanted
    engine: EngineHealth
    signs_in_by: str
    known: bool

    @property
    def slug(self) -> str:
        return self.submitted.job.tenant


async def create(state: State, who: Principal, body: object, *, key: str | None = None) -> Created:
    """Creates a workspace, whose provisioning begins by itself. Raises RequestError with every problem.

    An engine that is offline or degraded does not hinder that: provisioning then waits for it.
    """
    who.demand(Permission.TENANT_CREATE)
    given = mapping(body)
    wanted = workspace_requests.read(_in_region(given))
    parsed = _checked(state, wanted, given)
    engine = await state.engines.of(parsed.engine, parsed.region, correlation_id=who.correlation_id)
    submitted = await _submitted(state, who, wanted, options=_options(state, engine), key=key)
    signs_in_by, known = PROVIDER, False
    if state.accounts.there:
        # Last: what is refused must not leave an account whose password somebody else has chosen. Sent again with its
        # key, a request that was cut off in between makes it.
        job = submitted.job
        entry = await state.accounts.add(
            who.caller,
            tenant=job.tenant,
            email=wanted.email,
            name=wanted.person,
            password=wanted.password,
            again=None if submitted.created else job.created_at,
        )
        signs_in_by, known = TOKEN if entry is Entry.TAKEN else PASSWORD, entry is not Entry.MADE
    return Created(submitted=submitted, wanted=wanted, engine=engine, signs_in_by=signs_in_by, known=known)


def _in_region(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with a region, where it names none and only one has the engine: there is nothing to choose."""
    if body.get("region") is not None:
        return body
    having = engine_regions(str(body.get("engine") or DEFAULT))
    return {**body, "region": having[0]} if len(having) == 1 else body


def engine_regions(engine: str) -> tuple[str, ...]:
    """The regions that have the engine; none where their file is wrong, which its check then says."""
    if engine not in NAMES:
        return ()
    try:
        return regions_of(engine)
    except ConfigurationError:
        return ()


def _checked(state: State, wanted: Wanted, body: Mapping[str, Any]) -> Any:
    """The manifest, as it is read. Raises RequestError."""
    try:
        _, parsed = actions.checked(state, {**wanted.manifest, "slug": wanted.slug})
    except ManifestError as error:
        raise workspace_requests.refused(wanted, error, body) or error from None
    if (wrong := workspace_requests.refused(wanted, None, body)) is not None:
        raise wrong
    return parsed


def _options(state: State, engine: EngineHealth) -> dict[str, Any]:
    """The options of a job that begins a provisioning: until when it may wait, and what for, where it must."""
    options = waiting.until(state.service.engine_wait)
    return {**options, provisioning.ENGINE: engine_words(engine)} if engine.passes else options


def engine_words(engine: EngineHealth) -> str:
    """An engine that is not online, in a sentence."""
    return f"{NAMES.get(engine.engine, engine.engine)} is {engine.status}: {engine.words}"


async def _submitted(
    state: State, who: Principal, wanted: Wanted, *, options: Mapping[str, Any], key: str | None
) -> actions.Submitted:
    for last in (*(False,) * (_TRIES - 1), True):
        slug = await _free(state, wanted.slug)
        try:
            return await actions.create_tenant(
                state,
                who,
                workspace_requests.numbered(wanted, slug),
                key=key,
                extra=actions.Extra(options=options, owners=(wanted.email,), asked=wanted.asked()),
            )
        except (BusyError, ConflictError):
            # Somebody else may have taken the slug since: then there is another one.
            if last or await lookups.tenant_or_none(state, slug) is None:
                raise
    raise AssertionError("the last try returns or raises")


async def _free(state: State, wanted: str) -> str:
    """`wanted`, or with a number where it is taken: many a shop is called as another one is."""
    for numbers in _OF_ONE_NAME:
        slugs = [wanted if number == 1 else f"{wanted}-{number}" for number in numbers]
        taken = await lookups.taken(state, slugs)
        if (found := next((slug for slug in slugs if slug not in taken), None)) is not None:
            return found
    raise ConflictError(f"there are too many workspaces called '{wanted}'", hint="choose another name")


async def start(
    state: State, who: Principal, slug: str, changes: Mapping[str, Any], *, key: str | None = None
) -> actions.Submitted:
    """Provisions a workspace: for the first time, again after a failure, or with `changes` of its manifest's keys.

    Raises RequestError, in the words of that request, for changes that its manifest refuses.
    """
    row = await workspace(state, who, slug, Permission.TENANT_UP)
    extra = await _waiting(state, who, row)
    if not changes:
        return await actions.up(state, who, slug, key=key, extra=extra)
    newest = await lookups.newest_manifest(state, row)
    try:
        return await actions.change_tenant(state, who, slug, {**newest, **changes}, key=key, extra=extra)
    except ManifestError as error:
        raise RequestError("request", WORDS.in_own_words(error, {}).problems) from None


async def retry(
    state: State, who: Principal, slug: str, step: str | None, *, key: str | None = None
) -> actions.Submitted:
    """Tries one step again, with what depends on it; None: all that failed, and what was not reached because of it.

    Waits for an engine that is away, as its creation does. Raises ConflictError where nothing has failed.
    """
    row = await workspace(state, who, slug, Permission.TENANT_UP)
    if step is not None:
        return await actions.retry_step(state, who, slug, step, key=key, extra=await _waiting(state, who, row))
    found = await known(state, slug)
    now = provisioning.status(found)
    if now not in {provisioning.Provisioning.FAILED, provisioning.Provisioning.PARTIAL} and (
        found.job is None or found.job.ended
    ):
        raise ConflictError(
            f"nothing of '{slug}' has failed: it is {now.value}", hint="POST start applies its manifest again"
        )
    # What is in place already is found to be the same: this is what failed, and nothing else.
    return await actions.up(state, who, slug, key=key, extra=await _waiting(state, who, row))


async def skip(state: State, who: Principal, slug: str, step: str, *, key: str | None = None) -> actions.Submitted:
    """Goes on without an optional step. Raises ConflictError for any other one."""
    row = await workspace(state, who, slug, Permission.TENANT_UP)
    return await actions.skip_step(state, who, slug, step, key=key, extra=await _waiting(state, who, row))


async def _waiting(state: State, who: Principal, row: TenantRow) -> actions.Extra:
    """What lets a job of the workspace wait for its engine: asked now, so that what it waits for is told at once."""
    parsed = POS.parse(await lookups.newest_manifest(state, row))
    engine = await state.engines.of(parsed.engine, parsed.region, correlation_id=who.correlation_id)
    return actions.Extra(options=_options(state, engine))


async def workspace(state: State, who: Principal, slug: str, permission: Permission) -> TenantRow:
    """The point of sale. Raises NotFoundError, ForbiddenError."""
    who.demand(permission, slug)
    row = await lookups.tenant(state, slug)
    if row.line != POS.kind:
        raise NotFoundError(f"there is no workspace '{slug}'", hint="GET /api/v1/tenants?line=pos lists them")
    return row


async def known(state: State, slug: str) -> Known:
    """All that is known of a workspace's provisioning. Raises NotFoundError."""
    async with looking_up(state.engine, state.settings) as connection:
        tenant = await lookups.standing(connection, slug)
        newest = await reading.newest_change(connection, slug)
        runs = await lookups.recent_runs(connection, slug)
    job = await state.store.get(newest) if newest is not None else None
    steps = provisioning.standing(POS.steps, [run.steps for run in _of_now(runs, job)])
    return Known(tenant=tenant, job=job, steps=steps, objects=tenant["objects"] or ())


def _of_now(runs: list[lookups.Run], job: Any) -> list[lookups.Run]:
    """The runs that count, newest first: a run of the whole that goes on begins anew, and a removal ends what was."""
    whole = job is not None and not job.ended and not job.options.get("steps")
    if whole and runs and job.deployment_id == runs[0].id:
        return runs[:1]
    ends = next((at for at, run in enumerate(runs) if run.operation == "destroy" and run.done), len(runs))
    return runs[:ends]


async def logs(state: State, slug: str) -> list[dict[str, Any]]:
    """What each step of the last runs came to, oldest first."""
    async with looking_up(state.engine, state.settings) as connection:
        runs = await lookups.recent_runs(connection, slug)
    return [
        {**provisioning.shown(step), "run_id": str(run.id), "operation": run.operation}
        for run in reversed(runs)
        for step in run.steps
        if step["started_at"] is not None
    ]
