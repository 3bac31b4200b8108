"""Random programs and random histories of operations, for the property tests. Data only: nothing is run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from engine.resource import Secret
from tests.engine.core.program import Read, Ref, Resource, bucket, group, provider, read, ref

NAMES = ("a", "b", "c", "d", "e", "f")
SECRET = "hunter2"
#: Objects of somebody else: one to be read, one to be imported.
THEIRS = "x-1"
TO_IMPORT = "i-1"
Item = Resource | Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What ends an operation in the middle: `dies`, `cancel` or `cancel twice`, at the n-th save."""

    how: str
    at_save: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One operation and what goes wrong in it. `faults` are (method, name, kind); numbers choose from the state."""

    kind: str
    items: tuple[Item, ...]
    faults: tuple[tuple[str, str, str], ...] = ()
    crash: bool = False
    stop: Stop | None = None
    lost: str = ""
    changed: str = ""
    replaced: int | None = None
    tainted: int | None = None
    only: tuple[str, ...] = ()
    """Names of the resources to which the operation keeps, or which it leaves out."""
    beside: bool = False
    """Registers side by side what does not need each other."""
    options: dict[str, Any] = field(default_factory=dict)


FAULTS = st.one_of(
    st.tuples(
        st.sampled_from(("create", "update", "delete", "read", "check", "diff")),
        st.sampled_from(NAMES),
        st.just("error"),
    ),
    st.tuples(st.sampled_from(("create", "update", "read")), st.sampled_from(NAMES), st.just("unready")),
    st.tuples(
        st.sampled_from(("create", "update", "delete")), st.sampled_from(NAMES), st.sampled_from(("untold", "dies"))
    ),
)


@dataclass(slots=True)
class _Drawn:
    """What a program has already, for what comes after it to refer to."""

    buckets: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.buckets, *self.groups, *self.providers]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Item, ...]:
    """Resources that refer to earlier ones: by value, by dependsOn, as parent, as provider, as deletedWith."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    drawn = _Drawn(unused=[name for name in NAMES if name not in names])
    return tuple(_resource(draw, name, drawn) for name in names)


def _resource(draw: st.DrawFn, name: str, drawn: _Drawn) -> Item:
    if draw(st.integers(0, 14)) == 0:
        drawn.buckets.append(name)
        return read(name, THEIRS)
    opts = _common_options(draw, drawn)
    kind = draw(st.sampled_from(("bucket", "bucket", "bucket", "bucket", "bucket", "group", "provider")))
    if kind == "group":
        if drawn.providers and draw(st.integers(0, 3)) == 0:
            opts["providers"] = draw(st.sampled_from(drawn.providers))
        drawn.groups.append(name)
        return group(name, opts, x=draw(st.integers(0, 1)))
    if kind == "provider":
        inputs: dict[str, Any] = {"account": draw(st.sampled_from("12"))}
        if drawn.buckets and draw(st.integers(0, 3)) == 0:
            inputs["endpoint"] = ref(draw(st.sampled_from(drawn.buckets)))
        drawn.providers.append(name)
        return provider(name, opts, **inputs)
    opts.update(_bucket_options(draw, drawn))
    item = bucket(name, opts, **_inputs(draw, drawn.buckets))
    drawn.buckets.append(name)
    return item


def _common_options(draw: st.DrawFn, drawn: _Drawn) -> dict[str, Any]:
    opts: dict[str, Any] = {}
    if drawn.groups and draw(st.booleans()):
        opts["parent"] = draw(st.sampled_from(drawn.groups))
    rare = draw(st.integers(0, 15))
    if rare == 0:
        opts["protect"] = True
    elif rare == 1:
        opts["retainOnDelete"] = True
    elif rare == 2 and drawn.buckets:
        opts["deleted_with"] = draw(st.sampled_from(drawn.buckets))
    if drawn.unused and draw(st.integers(0, 2)) == 0:
        opts["aliases"] = [{"name": drawn.unused.pop()}]
    return opts


def _inputs(draw: st.DrawFn, buckets: list[str]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for key, values in (("size", (0, 1)), ("region", ("x", "y")), ("zone", ("x", "y"))):
        choice = draw(st.integers(0, 3))
        if choice == 0 and buckets:
            inputs[key] = ref(draw(st.sampled_from(buckets)))
        elif choice < 3:
            inputs[key] = draw(st.sampled_from(values))
    if draw(st.integers(0, 4)) == 0:
        inputs["password"] = Secret(SECRET + draw(st.sampled_from("xy")))
    return inputs


def _bucket_options(draw: st.DrawFn, drawn: _Drawn) -> dict[str, Any]:
    opts: dict[str, Any] = {}
    needed = drawn.all
    if needed and draw(st.integers(0, 2)) == 0:
        opts["depends_on"] = [draw(st.sampled_from(needed))]
    if drawn.buckets and draw(st.integers(0, 5)) == 0:
        opts["replace_with"] = [draw(st.sampled_from(drawn.buckets))]
    if drawn.providers and draw(st.booleans()):
        opts["provider"] = draw(st.sampled_from(drawn.providers))
    if draw(st.integers(0, 3)) == 0:
        opts["delete_before_replace"] = draw(st.booleans())
    rare = draw(st.integers(0, 11))
    if rare < 2:
        opts["ignoreChanges"] = draw(st.sampled_from((["size"], ["region"], ["*"])))
    elif rare == 2:
        opts["replaceOnChanges"] = draw(st.sampled_from((["size"], ["*"])))
    elif rare == 3:
        opts["additionalSecretOutputs"] = ["arn"]
    elif rare == 4:
        opts["importId"] = TO_IMPORT
    if draw(st.integers(0, 5)) == 0:
        opts["trigger"] = draw(st.sampled_from("xy"))
    return opts


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    kind = draw(st.sampled_from(("up", "up", "up", "up", "preview", "refresh", "destroy")))
    options: dict[str, Any] = {"parallel": draw(st.sampled_from((1, 4)))}
    if kind in {"up", "destroy"}:
        options["refresh"] = draw(st.integers(0, 2)) == 0
        options["continue_on_error"] = draw(st.booleans())
    if kind in {"refresh", "destroy"}:
        options["run_program"] = draw(st.booleans())
    only: tuple[str, ...] = ()
    if draw(st.integers(0, 4)) == 0:
        only = tuple(draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=3)))
        options["by"] = draw(st.sampled_from(("target", "target", "exclude")))
        options["dependents"] = draw(st.booleans())
    if kind == "destroy":
        options["exclude_protected"] = draw(st.integers(0, 3)) == 0
    if kind == "refresh":
        options["clear_pending_creates"] = draw(st.booleans())
    stop = None
    if kind != "preview" and draw(st.booleans()):
        stop = Stop(
            how=draw(st.sampled_from(("dies", "dies", "cancel", "cancel twice"))), at_save=draw(st.integers(1, 12))
        )
    return Round(
        kind=kind,
        items=draw(programs()),
        faults=tuple(draw(st.lists(FAULTS, max_size=3))),
        crash=draw(st.integers(0, 5)) == 0,
        stop=stop,
        lost=draw(st.sampled_from(("", "", "", *NAMES))),
        changed=draw(st.sampled_from(("", "", "", *NAMES))),
        only=only,
        tainted=draw(st.integers(0, 5)) if draw(st.integers(0, 5)) == 0 else None,
        replaced=draw(st.integers(0, 5)) if kind in {"up", "preview"} and draw(st.integers(0, 5)) == 0 else None,
        beside=draw(st.integers(0, 3)) == 0,
        options=options,
    )


def side_by_side(items: Sequence[Item]) -> list[tuple[Item, ...]]:
    """The program in groups, the members of which do not need each other and may be registered at once."""
    groups: list[list[Item]] = []
    for item in items:
        needed = _needed(item)
        if groups and not any(other.name in needed for other in groups[-1]):
            groups[-1].append(item)
        else:
            groups.append([item])
    return [tuple(group) for group in groups]


def _needed(item: Item) -> set[str]:
    if isinstance(item, Read):
        return set()
    found = {value.name for value in item.inputs.values() if isinstance(value, Ref)}
    for key in ("parent", "provider", "providers", "deleted_with"):
        if key in item.opts:
            found.add(item.opts[key])
    return found | {*item.opts.get("depends_on", ()), *item.opts.get("replace_with", ())}
