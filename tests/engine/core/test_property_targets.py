"""Random programs under random targets, taints and triggers, in a cloud that fails and an engine that dies at random.

What `test_property` says of operations on everything holds for operations on some resources too, and the next one on
everything makes all as the program says. Its settings are those of `test_property`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from engine.resource import is_provider_type
from tests.engine.core.dsl import Stack, a_stack
from tests.engine.core.inprocess import in_process
from tests.engine.core.program import BUCKET, Resource
from tests.engine.core.random_programs import NAMES, Round, programs, rounds
from tests.engine.core.test_property import EXAMPLES, SEED, SHRINK, World, say, without_protection

PATTERNS = tuple(f"**::{name}" for name in NAMES)


@st.composite
def triggered_programs(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Programs in which some resources have a replacement trigger."""
    items: list[Resource] = []
    for item in draw(programs()):
        triggered = item.type == BUCKET and draw(st.integers(0, 3)) == 0
        trigger = {"trigger": draw(st.sampled_from("xy"))} if triggered else {}
        items.append(replace(item, opts={**item.opts, **trigger}))
    return tuple(items)


@st.composite
def limits(draw: st.DrawFn) -> dict[str, Any]:
    """Options that leave something out, or nothing."""
    chosen = tuple(draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)))
    follow = draw(st.booleans())
    kind = draw(st.sampled_from(("targets", "targets", "excludes", "nothing")))
    if kind == "targets":
        return {"targets": chosen, "target_dependents": follow}
    if kind == "excludes":
        return {"excludes": chosen, "exclude_dependents": follow}
    return {}


@st.composite
def limited_rounds(draw: st.DrawFn) -> tuple[Round, str]:
    """A round, and the name of what is tainted before it, if anything."""
    one = draw(rounds())
    options = {**one.options, **draw(limits())}
    return replace(one, items=draw(triggered_programs()), options=options), draw(st.sampled_from(("", "", *NAMES)))


def taint(stack: Stack, name: str) -> None:
    body = json.loads(stack.saved)
    for state in body.get("resources", []):
        if state["urn"].split("::")[-1] == name and state["custom"] and not is_provider_type(state["type"]):
            state["taint"] = True
    stack.saved = json.dumps(body)


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SHRINK else [])],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=st.lists(limited_rounds(), min_size=1, max_size=4), last=triggered_programs())
def random_histories(history: list[tuple[Round, str]], last: tuple[Resource, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder, a_stack(Path(folder)) as stack:
        world = World(stack)
        for one, tainted in history:
            taint(stack, tainted)
            world.play(one)
        world.converges(without_protection(last))


def test_whatever_is_left_out_the_state_is_valid_and_the_next_up_converges() -> None:
    say(f"\n{EXAMPLES} examples, TENANTRY_PROPERTY_SEED={SEED}")
    with in_process():
        random_histories()
