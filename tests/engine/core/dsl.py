"""A stack in a fake cloud, for scenarios that read like what a user does and sees.

    stack.up(bucket("a", size=1)).expect(create("a"))
    stack.up(bucket("a", size=2)).expect(update("a")).succeeds()

Every state that the engine saves is checked: it must be valid, hold no unknown value, and survive its own JSON.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.checkpoint import Codec
from engine.deployment import run_operation
from engine.journal import Change, MarkKind
from engine.journal_entries import EntryEncoder, Replayer
from engine.operation import CancelToken, Import, Kind, Operation, Options, Outcome, Target
from engine.plan import Plan
from engine.plan_file import plan_from_dict, plan_to_dict
from engine.policy import PackSource
from engine.resource import PropertyMap, Secret, State, contains_unknown, is_provider_type, urn_name
from engine.snapshot import Snapshot, verify
from tests.engine.core.cloud import Cloud
from tests.engine.core.program import BUCKET, STACK, ProgramOf

PARTS_OF_A_REPLACEMENT = {"create-replacement", "delete-replaced", "read-replacement", "discard-replaced"}


def create(name: str) -> tuple[str, str]:
    return "create", name


def update(name: str) -> tuple[str, str]:
    return "update", name


def replace(name: str) -> tuple[str, str]:
    return "replace", name


def delete(name: str) -> tuple[str, str]:
    return "delete", name


class PlainCipher:
    """Hides nothing from anybody; a test must not wait for a key derivation."""

    def encrypt(self, plaintext: str) -> str:
        return base64.b64encode(plaintext.encode()).decode()

    def decrypt(self, text: str) -> str:
        return base64.b64decode(text).decode()


class JournalTwin:
    """The journal that a large state would have: after each save, its replay must be what is saved."""

    def __init__(self, base: Snapshot) -> None:
        self._codec = Codec(PlainCipher())
        self._start(base)

    def _start(self, base: Snapshot) -> None:
        self._encoder = EntryEncoder(self._codec, base.resources, "epoch")
        self._replayer = Replayer(self._codec.to_dict(base))

    def follow(self, change: Change, snapshot: Snapshot) -> None:
        marks = list(change.marks)
        rebases = [place for place, mark in enumerate(marks) if mark.kind is MarkKind.REBASE]
        if rebases:
            # The new beginning holds whatever came before it.
            self._start(snapshot)
            marks = marks[rebases[-1] + 1 :]
        for entry in self._encoder.entries(marks):
            self._replayer.add(json.loads(json.dumps(entry)))
        found, wanted = self._replayer.deployment(), self._codec.to_dict(snapshot)
        assert found.get("resources", []) == wanted.get("resources", []), "the journal's resources"
        # What is under way is written down as it began; the snapshot may have it half done.
        assert _pending(found) == _pending(wanted)


def _pending(deployment: dict[str, Any]) -> list[tuple[str, str]]:
    return [(op["type"], op["resource"]["urn"]) for op in deployment.get("pending_operations", ())]


class Result:
    """How one operation went."""

    def __init__(self, outcome: Outcome, events: list[dict[str, Any]], calls: list[str], saves: list[str]) -> None:
        self.outcome = outcome
        self.events = events
        self.calls = [call for call in calls if call.split()[0] not in ("check", "diff")]
        self.all_calls = calls
        self.saves = saves

    @property
    def ops(self) -> list[tuple[str, str]]:
        """(operation, name) of each step that does something, in the order in which they began."""
        found = []
        for event in self.events:
            metadata = event.get("resourcePreEvent", {}).get("metadata")
            if metadata is None or metadata["op"] == "same" or metadata["op"] in PARTS_OF_A_REPLACEMENT:
                continue
            if metadata["type"] != STACK and not urn_name(metadata["urn"]).startswith("default"):
                found.append((metadata["op"], urn_name(metadata["urn"])))
        return found

    def detail(self, name: str) -> dict[str, Any]:
        """What the events tell last of a resource."""
        return [
            event["resOutputsEvent"]["metadata"]
            for event in self.events
            if "resOutputsEvent" in event and urn_name(event["resOutputsEvent"]["metadata"]["urn"]) == name
        ][-1]

    def messages(self, *severities: str) -> str:
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return "".join(d["message"] for d in found if not severities or d["severity"] in severities)

    # -------------------------------------------------------- expectations

    def expect(self, *ops: tuple[str, str]) -> Result:
        assert sorted(self.ops) == sorted(ops), self._story()
        return self

    def calling(self, *calls: str) -> Result:
        """The calls to the cloud, in order, without Check and Diff."""
        assert self.calls == list(calls), self._story()
        return self

    def succeeds(self) -> Result:
        assert self.outcome.error is None, self._story()
        return self

    def fails(self, *texts: str) -> Result:
        assert self.outcome.error is not None, self._story()
        said = self.messages("error") + str(self.outcome.error)
        for text in texts:
            assert text in said, self._story()
        return self

    def warns(self, text: str) -> Result:
        assert text in self.messages("warning"), self._story()
        return self

    def does_nothing(self) -> Result:
        return self.succeeds().expect().calling()

    def valid_after_every_step(self) -> Result:
        """That there were steps to be saved; whether each was valid has been seen at the time."""
        assert self.saves, self._story()
        return self

    def _story(self) -> str:
        return f"{self.ops}\ncalls: {self.all_calls}\nerror: {self.outcome.error!r}\n{self.messages()}"


class Stack:
    """One stack and its cloud. Each operation reads the state that the one before has written."""

    def __init__(self, root: Path) -> None:
        self.cloud = Cloud()
        self.config: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.secret_keys: frozenset[str] = frozenset()
        self.other_stacks: dict[str, PropertyMap] = {}
        self.saved = Codec(PlainCipher()).dumps(Snapshot())
        self.cancel = CancelToken()
        self.program: ProgramOf | None = None
        self.on_save: Callable[[int], None] = lambda _: None
        self.on_event: Callable[[dict[str, Any]], None] = lambda _: None
        self.saves = 0
        self._root = root

    # -------------------------------------------------------- operations

    def up(self, *items: Any, **options: Any) -> Result:
        return self.run(Kind.UPDATE, items, **options)

    def preview(self, *items: Any, **options: Any) -> Result:
        """A preview saves nothing, and calls nothing that changes anything."""
        before = self.saved
        result = self.run(Kind.UPDATE, items, dry_run=True, **options)
        assert self.saved == before
        assert not result.saves
        assert not [call for call in result.calls if not call.startswith("read ")]
        return result

    def plan(self, *items: Any, **options: Any) -> Plan:
        """What a preview promises, as it comes out of the plan's file."""
        outcome = self.preview(*items, make_plan=True, **options).succeeds().outcome
        assert outcome.plan is not None
        text = json.dumps(plan_to_dict(outcome.plan, {}, PlainCipher()))
        return plan_from_dict(json.loads(text), PlainCipher(), "plan.json")

    def refresh(self, *items: Any, **options: Any) -> Result:
        """With a program only for `run_program=True`."""
        return self.run(Kind.REFRESH, items, **options)

    def destroy(self, *items: Any, **options: Any) -> Result:
        """With a program only for `run_program=True`."""
        return self.run(Kind.DESTROY, items, **options)

    def import_(self, *imports: Import, **options: Any) -> Result:
        """`pulumi import`."""
        return self.run(Kind.IMPORT, (), imports=imports, **options)

    def run(
        self,
        kind: Kind,
        items: Any,
        *,
        plan: Plan | None = None,
        packs: Sequence[PackSource] = (),
        imports: Sequence[Import] = (),
        **options: Any,
    ) -> Result:
        saves: list[str] = []
        broken: list[Exception] = []
        codec = Codec(PlainCipher())

        before = self.snapshot
        twin = JournalTwin(before)

        def save(change: Change) -> None:
            try:
                snapshot = change.snapshot()
                _check(snapshot)
                text = codec.dumps(snapshot)
                _check(Codec(PlainCipher()).from_dict(json.loads(text)))
            except Exception as error:
                broken.append(error)
                raise
            if not self.cloud.dead:
                self.saved = text
                saves.append(text)
                self.saves = len(saves)
                self.on_save(len(saves))
            try:
                twin.follow(change, snapshot)
            except Exception as error:
                broken.append(error)
                raise

        events: list[dict[str, Any]] = []

        def emit(event: dict[str, Any]) -> None:
            events.append(event)
            self.on_event(event)

        self.saves = 0
        self.cloud.calls.clear()
        self.cancel = CancelToken()
        self.program = ProgramOf(items) if kind is Kind.UPDATE or options.get("run_program") else None
        outcome = run_operation(
            Operation(
                kind=kind,
                target=self._target(),
                options=Options(**options),
                snapshot=before,
                program=self.program,
                emit=emit,
                save=save,
                cancel=self.cancel,
                stack_outputs=self.other_stacks.get,
                plan=plan,
                imports=imports,
                policy_packs=tuple(packs),
            )
        )
        assert not broken, broken[0]
        return Result(outcome, events, list(self.cloud.calls), saves)

    def _target(self) -> Target:
        return Target(
            project="project",
            stack="test",
            config=self.config,
            secret_keys=self.secret_keys,
            root=self._root,
            environment={
                "PULUMI_DEBUG_PROVIDERS": f"fake:{self.cloud.port}",
                "PATH": "",
                "HOME": str(self._root),
                **self.environment,
            },
        )

    # -------------------------------------------------------- the state

    @property
    def snapshot(self) -> Snapshot:
        """The state as the next operation reads it."""
        return Codec(PlainCipher()).from_dict(json.loads(self.saved))

    def resource(self, name: str) -> State:
        (found,) = [s for s in self.snapshot.resources if urn_name(s.urn) == name and not s.delete]
        return found

    @property
    def names(self) -> list[str]:
        """What is in the state, without the stack itself and default providers; `-a` is to be deleted."""
        return [
            ("-" if s.delete else "") + urn_name(s.urn)
            for s in self.snapshot.resources
            if s.type != STACK and not urn_name(s.urn).startswith("default")
        ]

    @property
    def pending(self) -> list[str]:
        return [f"{p.type} {urn_name(p.resource.urn)}" for p in self.snapshot.pending]

    @property
    def outputs(self) -> PropertyMap:
        return next(s.outputs for s in self.snapshot.resources if s.type == STACK)

    def urn(self, name: str, type_: str = BUCKET) -> str:
        return f"urn:pulumi:test::project::{type_}::{name}"

    def owned(self) -> set[str]:
        """Ids of the objects that the state says there are."""
        return {
            s.id
            for s in self.snapshot.resources
            if s.custom and not s.external and not is_provider_type(s.type) and not s.pending_replacement
        }

    def agrees_with_cloud(self) -> None:
        assert self.owned() == set(self.cloud.objects)

    def close(self) -> None:
        self.cloud.close()


def _check(snapshot: Snapshot) -> None:
    verify(snapshot)
    for state in snapshot.resources:
        for value in (state.inputs, state.outputs):
            assert not contains_unknown(value), f"{state.urn} holds an unknown value"
        if state.custom and not is_provider_type(state.type):
            assert state.id, f"{state.urn} has no id"


@contextlib.contextmanager
def a_stack(root: Path) -> Iterator[Stack]:
    stack = Stack(root)
    try:
        yield stack
    finally:
        stack.close()


def in_background(action: Callable[[], Any]) -> threading.Thread:
    """Runs something beside the test; who starts it joins it."""
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def secret(value: Any) -> Secret:
    return Secret(value)
