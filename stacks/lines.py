"""Product lines: what the jobs, the service and the command line need to know of each. A new line is one more entry.

Decides which lines there are. What a line's manifest, template and program are is decided in its own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from providers.retention import Retained
from providers.site.plan import BackupPlan
from stacks import cabinet
from stacks import steps as cabinet_steps
from stacks.department import line as department
from stacks.department import steps as department_steps
from stacks.department import usage as department_usage
from stacks.department.manifest import DEPARTMENT_SHAPE
from stacks.isp import line as isp
from stacks.isp import steps as isp_steps
from stacks.isp.manifest import ISP_SHAPE
from stacks.manifest import CABINET_SHAPE, ManifestError, parse_manifest
from stacks.pos import engine as pos_engine
from stacks.pos import line as pos
from stacks.pos import steps as pos_steps
from stacks.pos.manifest import POS_SHAPE
from stacks.pricing import Sizing
from stacks.problems import FieldProblem, closest, shown
from stacks.resolve import ResolvedManifest, resolve, restore
from stacks.shape import Pinned, parse
from stacks.site import line as site
from stacks.site import steps as site_steps
from stacks.site.manifest import SITE_SHAPE
from stacks.steps import Step
from stacks.templates import TemplateStore

if TYPE_CHECKING:
    from components.tenant import Tenant


class Manifest(Protocol):
    """What every line's manifest has."""

    @property
    def kind(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def template_id(self) -> str: ...
    @property
    def enable_rollback(self) -> bool: ...
    def to_dict(self) -> dict[str, Any]: ...


def _nothing_retained(_resolved: ResolvedManifest[Any], _mark: str) -> Retained | None:
    return None


def _no_address(_manifest: Mapping[str, Any] | None) -> str | None:
    return None


def _no_runs(_resolved: ResolvedManifest[Any]) -> dict[str, bool]:
    return {}


def not_backed_up(_resolved: ResolvedManifest[Any], _mark: str) -> BackupPlan | None:
    """Of lines whose tenants have no site."""
    return None


def _no_hold(_manifest: Any) -> str | None:
    return None


def _no_sizing(_resolved: ResolvedManifest[Any]) -> Sizing:
    return Sizing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A product line.

    `skips` says by which values of the manifest a step is left out: only these steps can be skipped. `kind` is the
    manifest's, and `noun` what one tenant of the line is called. `build` makes the tenant of a resolved manifest and a
    tenant mark, inside a Pulumi program. `pinned` finds what a tenant with a mark was built from.
    `retained` says which of a tenant's data is purged by age; `sizing` what it uses, for its cost; `counted_runs` of
    which of its workflows the runs are counted, too.
    `address` is where the tenant of a manifest's document is reached, if anywhere. `checked` says that each part of a
    tenant can be asked whether it works. `hold` says why a first run of a manifest had better wait, None where it need
    not: it asks what the tenant is made on, which may take seconds. `backed_up` says which site of a tenant is
    backed up, and when.
    """

    kind: str
    title: str
    noun: str
    steps: tuple[Step, ...]
    step_of: Callable[[str], str | None]
    parse: Callable[..., Any]
    resolve: Callable[..., ResolvedManifest[Any]]
    restore: Callable[..., ResolvedManifest[Any]]
    schema: Callable[[], dict[str, Any]]
    build: Callable[[ResolvedManifest[Any], str], Tenant]
    pinned: Callable[[str, str], Pinned]
    templates: Callable[[], TemplateStore] = TemplateStore
    skips: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    retained: Callable[[ResolvedManifest[Any], str], Retained | None] = _nothing_retained
    sizing: Callable[[ResolvedManifest[Any]], Sizing] = _no_sizing
    counted_runs: Callable[[ResolvedManifest[Any]], dict[str, bool]] = _no_runs
    address: Callable[[Mapping[str, Any] | None], str | None] = _no_address
    checked: bool = False
    hold: Callable[[Any], str | None] = _no_hold
    backed_up: Callable[[ResolvedManifest[Any], str], BackupPlan | None] = not_backed_up

    def program(self, resolved: ResolvedManifest[Any]) -> Callable[[], None]:
        """The Pulumi program of a resolved manifest. Imports the SDK, which takes its time."""
        from stacks.program import program_for

        return program_for(resolved, self.build)

    def step(self, key: str) -> Step:
        """The step called `key`. Raises KeyError."""
        return {step.key: step for step in self.steps}[key]


CABINET = Line(
    kind="cabinet",
    title="Dental cabinets",
    noun="cabinet",
    steps=cabinet_steps.STEPS,
    step_of=cabinet_steps.step_of,
    parse=parse_manifest,
    resolve=resolve,
    restore=partial(restore, CABINET_SHAPE),
    schema=cabinet.schema,
    build=cabinet.build,
    pinned=cabinet.pinned,
    skips={"database": {"skipDatabaseCreation": True}},
    sizing=cabinet.sizing,
)

DEPARTMENT = Line(
    kind="department",
    title="Departments",
    noun="department",
    steps=department_steps.STEPS,
    step_of=department_steps.step_of,
    parse=partial(parse, DEPARTMENT_SHAPE),
    resolve=department.resolve,
    restore=partial(restore, DEPARTMENT_SHAPE),
    schema=department.schema,
    build=department.build,
    pinned=department.pinned,
    templates=partial(TemplateStore, shape=DEPARTMENT_SHAPE),
    retained=department_usage.retained,
    sizing=department_usage.sizing,
    counted_runs=department_usage.counted_runs,
    address=department_usage.address,
    checked=True,
)

ISP = Line(
    kind="isp",
    title="ISPs",
    noun="ISP",
    steps=isp_steps.STEPS,
    step_of=isp_steps.step_of,
    parse=partial(parse, ISP_SHAPE),
    resolve=isp.resolve,
    restore=partial(restore, ISP_SHAPE),
    schema=isp.schema,
    build=isp.build,
    pinned=isp.pinned,
    templates=partial(TemplateStore, shape=ISP_SHAPE),
    sizing=isp.sizing,
    address=isp.address,
    checked=True,
)

POS = Line(
    kind="pos",
    title="Points of sale",
    noun="point of sale",
    steps=pos_steps.STEPS,
    step_of=pos_steps.step_of,
    parse=partial(parse, POS_SHAPE),
    resolve=pos.resolve,
    restore=partial(restore, POS_SHAPE),
    schema=pos.schema,
    build=pos.build,
    pinned=pos.pinned,
    templates=partial(TemplateStore, shape=POS_SHAPE),
    skips=pos.SKIPS,
    hold=pos_engine.hold,
)

SITE = Line(
    kind="site",
    title="Sites",
    noun="site",
    steps=site_steps.STEPS,
    step_of=site_steps.step_of,
    parse=partial(parse, SITE_SHAPE),
    resolve=site.resolve,
    restore=partial(restore, SITE_SHAPE),
    schema=site.schema,
    build=site.build,
    pinned=site.pinned,
    templates=partial(TemplateStore, shape=SITE_SHAPE),
    backed_up=site.backed_up,
)

LINES: Mapping[str, Line] = {line.kind: line for line in (CABINET, DEPARTMENT, ISP, POS, SITE)}


def line_of(mapping: object, source: str = "manifest") -> Line:
    """The line that a manifest's `kind` names. Raises ManifestError naming those there are."""
    kind = mapping.get("kind") if isinstance(mapping, Mapping) else None
    if isinstance(kind, str) and kind in LINES:
        return LINES[kind]
    problem = FieldProblem(
        field="kind",
        given=shown(kind),
        valid=f"one of {', '.join(sorted(LINES))}",
        suggestion=closest(kind, LINES) if isinstance(kind, str) else None,
    )
    raise ManifestError(source, [problem])
