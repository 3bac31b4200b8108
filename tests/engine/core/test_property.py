"""Random programs, one after another, in a cloud that fails and an engine that dies or is cancelled at random.

Whatever happens, every saved state is valid (the stack checks that), the cloud holds nothing that the state does not
know of, and the state holds nothing that the cloud does not have, but for what nobody could have told the engine. Once
nothing fails any more one `up` makes all as the program says, the next one has nothing to do, and a destroy leaves
nothing.

A long run, with the seed that was printed to repeat it:

    TENANTRY_PROPERTY_EXAMPLES=10000 TENANTRY_PROPERTY_SEED=1 python -m pytest -s tests/engine/core/test_property.py

Without a seed it is always the same one, so that nobody's change is refused for what it did not do; `random` draws one.
TENANTRY_PROPERTY_SHRINK looks for the smallest example that fails, which takes a minute or more.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engine.resource import Secret, State, is_provider_type, unsecret, urn_name
from tests.engine.core.dsl import Result, Stack, a_stack
from tests.engine.core.inprocess import in_process
from tests.engine.core.program import Read, Ref, crash, together
from tests.engine.core.random_programs import (
    SECRET,
    THEIRS,
    TO_IMPORT,
    Item,
    Round,
    Stop,
    programs,
    rounds,
    side_by_side,
)

EXAMPLES = int(os.environ.get("TENANTRY_PROPERTY_EXAMPLES", "150"))
_WANTED = os.environ.get("TENANTRY_PROPERTY_SEED") or "1"
SEED = random.SystemRandom().randrange(10**9) if _WANTED == "random" else int(_WANTED)
SHRINK = "TENANTRY_PROPERTY_SHRINK" in os.environ


class World:
    """A stack, its cloud, and what the engine cannot know of the two."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.unknowable: set[str] = set()
        """Ids of objects that are in the cloud and rightly not in the state."""
        self.ghosts: set[str] = set()
        """Ids in the state of objects that are gone without the engine having been told."""
        self.drifted = False
        for id_ in (THEIRS, TO_IMPORT):
            stack.cloud.objects[id_] = {"size": 5, "arn": f"arn:{id_}"}
            stack.cloud.names[id_] = id_

    # -------------------------------------------------------- one round

    def play(self, each: Round) -> Result:
        stack, cloud = self.stack, self.stack.cloud
        self._taint(each.tainted)
        before, let_go, owned = stack.snapshot.resources, self._let_go_of() | self._let_go_by(each), stack.owned()
        self._meddle(each)
        for method, name, kind in each.faults:
            cloud.fail(method, name, kind=kind, times=1)
        stack.on_save = lambda saves: _stop(stack, each.stop, saves)
        items: list[Any] = list(each.items)
        if each.beside:
            items = [together(*group) for group in side_by_side(each.items)]
        if each.crash:
            items.append(crash())
        result: Result = getattr(stack, each.kind)(
            *(items if each.kind in {"up", "preview"} or each.options.get("run_program") else ()),
            **_options(each, before),
        )
        stack.on_save = lambda _: None
        cloud.dead = False
        cloud.heal()
        self._compare(let_go, owned)
        failed = [event for event in result.events if "resOpFailedEvent" in event]
        assert result.outcome.error is not None or not failed, "a failure that nobody hears of"
        assert "internal error" not in result.messages("error")
        assert SECRET not in stack.saved, "a secret in the state"
        assert SECRET not in str(result.events), "a secret in the events"
        return result

    def _taint(self, number: int | None) -> None:
        """As `state taint` does."""
        body = json.loads(self.stack.saved)
        own = [r for r in body.get("resources", ()) if r["type"].startswith("fake:") and not r.get("external")]
        if number is not None and own:
            own[number % len(own)]["taint"] = True
            self.stack.saved = json.dumps(body)

    def _meddle(self, each: Round) -> None:
        """Somebody deletes an object by hand, or changes one."""
        cloud = self.stack.cloud
        if cloud.count(each.lost) == 1:
            self.ghosts.add(cloud.id_of(each.lost))
            cloud.lose(each.lost)
        if cloud.count(each.changed) == 1:
            cloud.change(each.changed, size=7)
            self.drifted = True

    def _compare(self, let_go: set[str], owned: set[str]) -> None:
        """That state and cloud tell the same, but for what cannot be known."""
        stack, cloud = self.stack, self.stack.cloud
        snapshot = stack.snapshot
        known = self._known()
        pending = {(p.type, urn_name(p.resource.urn)) for p in snapshot.pending}
        self.ghosts |= cloud.untold - cloud.objects.keys()
        self.ghosts |= {p.resource.id for p in snapshot.pending if p.type == "deleting"}
        self.drifted = self.drifted or bool(cloud.untold & cloud.objects.keys())
        self.drifted = self.drifted or any(kind == "updating" for kind, _ in pending)
        for id_ in cloud.objects.keys() - known:
            named = ("creating", cloud.names[id_]) in pending
            if id_ in {THEIRS, TO_IMPORT} - owned:
                continue
            assert named or id_ in cloud.untold or id_ in let_go, f"nobody knows of {id_}"
            self.unknowable.add(id_)
        for id_ in self.unknowable:
            # It is nobody's any more: from here on it may not be touched.
            cloud.objects.pop(id_, None)
        cloud.untold.clear()
        self.ghosts.add(TO_IMPORT)  # two may have imported it, and one of them has been deleted
        ghosts = stack.owned() - cloud.objects.keys()
        assert ghosts <= self.ghosts, f"the state holds {ghosts - self.ghosts}, which nobody has lost"
        self.ghosts &= ghosts

    # -------------------------------------------------------- the end

    def converges(self, items: tuple[Item, ...]) -> None:
        stack = self.stack
        self._unprotect()
        refresh = bool(self.ghosts) or self.drifted
        let_go = self._let_go_of()
        proposed = stack.preview(*items, refresh=refresh).succeeds().ops
        done = stack.up(*items, refresh=refresh).succeeds().ops
        untold = {name for op, name in done if op != "remove-pending-replace"} - {name for _, name in proposed}
        assert not untold, f"{done} was not told before: {proposed}"
        for id_ in let_go - self._known():
            stack.cloud.objects.pop(id_, None)
        self._is_the_program(items)
        assert all(op == "read" for op, _ in stack.up(*items).succeeds().ops)
        let_go = self._let_go_of()
        stack.destroy().succeeds()
        assert not stack.snapshot.resources
        assert THEIRS in stack.cloud.objects
        assert stack.cloud.objects.keys() <= let_go | {THEIRS, TO_IMPORT}

    def _unprotect(self) -> None:
        """As `state unprotect --all` does."""
        body = json.loads(self.stack.saved)
        for resource in body.get("resources", ()):
            resource.pop("protect", None)
        self.stack.saved = json.dumps(body)

    def _is_the_program(self, items: tuple[Item, ...]) -> None:
        stack = self.stack
        states = stack.snapshot.resources
        assert {urn_name(s.urn) for s in states if not _is_default(s)} == {item.name for item in items}
        assert not [s for s in states if s.delete or s.pending_replacement or s.init_errors]
        assert stack.owned() == stack.cloud.objects.keys() - {THEIRS, TO_IMPORT} | stack.owned() & {TO_IMPORT}
        for item in items:
            if isinstance(item, Read):
                assert stack.resource(item.name).external
            elif item.type.startswith("fake:") and "ignoreChanges" not in item.opts:
                state = stack.resource(item.name)
                if state.id == TO_IMPORT:
                    continue
                wanted = {key: self._value(value) for key, value in item.inputs.items()}
                assert stack.cloud.objects[state.id] == {**wanted, "arn": f"arn:{state.id}"}, item.name
                assert unsecret(state.inputs) == wanted, item.name

    def _value(self, value: Any) -> Any:
        if isinstance(value, Ref):
            return self.stack.cloud.objects[self.stack.resource(value.name).id][value.output]
        return value.value if isinstance(value, Secret) else value

    def _known(self) -> set[str]:
        return {s.id for s in self.stack.snapshot.resources if s.custom}

    def _let_go_by(self, each: Round) -> set[str]:
        """Ids of what the program of a destroy lets go: its options count there, and not those in the state."""
        if not each.options.get("run_program"):
            return set()
        names = {alias["name"] for item in each.items for alias in item.opts.get("aliases", ()) if _lets_go(item)}
        names |= {item.name for item in each.items if _lets_go(item)}
        return {s.id for s in self.stack.snapshot.resources if s.name in names}

    def _let_go_of(self) -> set[str]:
        """Ids of what the next operation may forget without deleting it."""
        return {s.id for s in self.stack.snapshot.resources if s.retain_on_delete or s.deleted_with}


def _lets_go(item: Item) -> bool:
    return "retainOnDelete" in item.opts or "deleted_with" in item.opts


def _stop(stack: Stack, stop: Stop | None, saves: int) -> None:
    if stop is None or saves != stop.at_save:
        return
    if stop.how == "dies":
        stack.cloud.dead = True
        return
    stack.cancel.signal()
    if stop.how == "cancel twice":
        stack.cancel.signal()


def _options(each: Round, resources: list[State]) -> dict[str, Any]:
    """The options, with URNs of the state where the round picks some."""
    options = dict(each.options)
    by, dependents = options.pop("by", ""), options.pop("dependents", False)
    if by:
        known = [s.urn for s in resources if urn_name(s.urn) in each.only and not s.delete]
        options[f"{by}s"] = (*known, *(f"**::{name}" for name in each.only))
        options[f"{by}_dependents"] = dependents
    own = [s.urn for s in resources if s.custom and not s.delete and not is_provider_type(s.type)]
    if each.replaced is not None and own:
        options["replace"] = (own[each.replaced % len(own)],)
    return options


def _is_default(state: Any) -> bool:
    return state.type == "pulumi:pulumi:Stack" or (is_provider_type(state.type) and state.name.startswith("default"))


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SHRINK else [])],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=st.lists(rounds(), min_size=1, max_size=4), last=programs())
def random_histories(history: list[Round], last: tuple[Item, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder, a_stack(Path(folder)) as stack:
        world = World(stack)
        for each in history:
            world.play(each)
        world.converges(at_the_end(last))


def at_the_end(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The last program protects nothing and imports nothing: the object to import may be gone."""
    left_out = {"protect", "importId"}
    return tuple(replace(item, opts={k: v for k, v in item.opts.items() if k not in left_out}) for item in items)


def say(text: str) -> None:
    """Seen at once with `-s`, and else where the test fails."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def test_whatever_happens_the_state_is_valid_and_the_next_up_converges() -> None:
    say(f"\n{EXAMPLES} examples, TENANTRY_PROPERTY_SEED={SEED}")
    started, cpu = time.perf_counter(), time.process_time()
    with in_process():
        random_histories()
    say(f"all clean in {time.perf_counter() - started:.0f} s, {time.process_time() - cpu:.0f} s of CPU")
