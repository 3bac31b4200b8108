"""Random programs, one after another, in a cloud that fails and an engine that dies at random.

Whatever happens, every saved state is valid (the stack checks that), the cloud holds nothing that the state does not
know of, and once nothing fails any more one `up` makes all as the program says, and the next one has nothing to do.
TENANTRY_PROPERTY_EXAMPLES asks for more of them, TENANTRY_PROPERTY_SHRINK for the smallest that fails.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.resource import is_provider_type, urn_name
from tests.engine.core.dsl import Result, Stack, a_stack
from tests.engine.core.program import Resource, bucket, crash, group, provider, ref

NAMES = ("a", "b", "c", "d", "e", "f")
EXAMPLES = int(os.environ.get("TENANTRY_PROPERTY_EXAMPLES", "60"))
SHRINK = "TENANTRY_PROPERTY_SHRINK" in os.environ


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One operation and what goes wrong in it."""

    kind: str
    items: tuple[Any, ...]
    faults: tuple[tuple[str, str, str], ...] = ()
    crash: bool = False
    dies_at: int | None = None
    lost: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@st.composite
def programs(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Resources that refer to earlier ones: by value, by dependsOn, as parent, as provider, as deletedWith."""
    items: list[Resource] = []
    buckets: list[str] = []
    groups: list[str] = []
    providers: list[str] = []
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=6))
    others = [name for name in NAMES if name not in names]
    for name in names:
        opts: dict[str, Any] = {}
        if groups and draw(st.booleans()):
            opts["parent"] = draw(st.sampled_from(groups))
        kind = draw(st.sampled_from(("bucket", "bucket", "bucket", "bucket", "group", "provider")))
        if kind == "group":
            groups.append(name)
            items.append(group(name, opts, x=draw(st.integers(0, 1))))
            continue
        if kind == "provider":
            providers.append(name)
            items.append(provider(name, opts, account=draw(st.sampled_from("12"))))
            continue
        if others and draw(st.integers(0, 2)) == 0:
            opts["aliases"] = [{"name": others.pop()}]
        opts.update(_bucket_options(draw, buckets, groups, providers))
        items.append(bucket(name, opts, **_inputs(draw, buckets)))
        buckets.append(name)
    return tuple(items)


def _inputs(draw: st.DrawFn, buckets: list[str]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for key, values in (
        ("size", st.integers(0, 1)),
        ("region", st.sampled_from("xy")),
        ("zone", st.sampled_from("xy")),
    ):
        choice = draw(st.integers(0, 3))
        if choice == 0 and buckets:
            inputs[key] = ref(draw(st.sampled_from(buckets)))
        elif choice < 3:
            inputs[key] = draw(values)
    return inputs


def _bucket_options(draw: st.DrawFn, buckets: list[str], groups: list[str], providers: list[str]) -> dict[str, Any]:
    opts: dict[str, Any] = {}
    needed = [*buckets, *groups, *providers]
    if needed and draw(st.integers(0, 2)) == 0:
        opts["depends_on"] = [draw(st.sampled_from(needed))]
    if buckets and draw(st.integers(0, 4)) == 0:
        opts["replace_with"] = [draw(st.sampled_from(buckets))]
    if providers and draw(st.booleans()):
        opts["provider"] = draw(st.sampled_from(providers))
    if draw(st.integers(0, 3)) == 0:
        opts["delete_before_replace"] = draw(st.booleans())
    if draw(st.integers(0, 4)) == 0:
        opts["ignoreChanges"] = draw(st.sampled_from((["size"], ["region"], ["*"])))
    return opts


FAULTS = st.tuples(
    st.sampled_from(("create", "update", "delete", "read", "check", "diff")),
    st.sampled_from(NAMES),
    st.sampled_from(("error", "error", "unready")),
)


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    kind = draw(st.sampled_from(("up", "up", "up", "preview", "refresh", "destroy")))
    options: dict[str, Any] = {"parallel": draw(st.sampled_from((1, 4)))}
    if kind in ("up", "destroy"):
        options["refresh"] = draw(st.booleans())
        options["continue_on_error"] = draw(st.booleans())
    return Round(
        kind=kind,
        items=draw(programs()),
        faults=tuple(draw(st.lists(FAULTS, max_size=3))),
        crash=draw(st.integers(0, 4)) == 0,
        dies_at=draw(st.one_of(st.none(), st.integers(1, 12))) if kind != "preview" else None,
        lost=tuple(draw(st.lists(st.sampled_from(NAMES), max_size=1))),
        options=options,
    )


def play(stack: Stack, each: Round) -> Result:
    cloud = stack.cloud
    for name in each.lost:
        if cloud.count(name) == 1:
            cloud.lose(name)
    for method, name, kind in each.faults:
        cloud.fail(method, name, kind=kind, times=1)
    items = [*each.items, crash()] if each.crash else each.items

    def die(saves: int) -> None:
        if saves == each.dies_at:
            cloud.dead = True

    stack.on_save = die
    result: Result = getattr(stack, each.kind)(*(items if each.kind in ("up", "preview") else ()), **each.options)
    stack.on_save = lambda _: None
    cloud.dead = False
    cloud.heal()
    return result


def nothing_is_orphaned(stack: Stack) -> None:
    """Every object in the cloud is in the state, or a create of it is known to have been under way."""
    creating = {urn_name(p.resource.urn) for p in stack.snapshot.pending if p.type == "creating"}
    unknown = {id_ for id_ in stack.cloud.objects if stack.cloud.names[id_] not in creating} - {
        s.id for s in stack.snapshot.resources if s.custom
    }
    assert not unknown, f"orphans: {unknown}"


def converges(stack: Stack, items: tuple[Any, ...]) -> None:
    died = bool(stack.pending)
    stack.refresh(clear_pending_creates=True).succeeds()
    stack.up(*items).succeeds()
    wanted = {item.name for item in items}
    assert {urn_name(s.urn) for s in stack.snapshot.resources if not _is_default(s)} == wanted
    if not died:
        stack.agrees_with_cloud()
    assert stack.owned() <= set(stack.cloud.objects)
    assert not [s for s in stack.snapshot.resources if s.delete or s.pending_replacement or s.init_errors]
    stack.up(*items).does_nothing()
    stack.destroy().succeeds()
    assert not stack.snapshot.resources
    if not died:
        assert not stack.cloud.objects


def _is_default(state: Any) -> bool:
    return state.type == "pulumi:pulumi:Stack" or (is_provider_type(state.type) and state.name.startswith("default"))


@settings(
    max_examples=EXAMPLES,
    derandomize=False,
    print_blob=True,
    # A minute of shrinking is for who looks into it, by the blob.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if SHRINK else [])],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=st.lists(rounds(), min_size=1, max_size=4), last=programs())
def test_whatever_happens_the_state_is_valid_and_the_next_up_converges(history: list[Round], last: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, a_stack(Path(folder)) as stack:
        for each in history:
            play(stack, each)
            nothing_is_orphaned(stack)
        converges(stack, last)
