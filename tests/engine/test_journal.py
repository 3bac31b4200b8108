"""A large state's journal: killed after any write, the state is there, valid, and of before or after the step."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import saver as savers
from engine.backend import DiyBackend
from engine.bucket import Bucket, FileBucket
from engine.bucket_postgres import PostgresBucket
from engine.checkpoint import Codec, features
from engine.errors import StateError
from engine.journal import Change, Journal, whole_change
from engine.journal_entries import Kind, replay
from engine.journal_store import digest
from engine.resource import Secret, State
from engine.saver import Saver
from engine.snapshot import PendingOperation, Snapshot, verify
from engine.stack_ref import StackRef
from tests.conftest import MainDatabase
from tests.engine.core.dsl import PlainCipher
from tests.engine.memory_bucket import MemoryBucket

REF = StackRef(project="proj", name="dev")
PREFIX = "urn:pulumi:dev::proj::t:m:T::"


class OneStack:
    """What the saver asks of a stack, over a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self.backend = DiyBackend(bucket)
        self.ref = REF
        self.codec = Codec(PlainCipher())
        self.loaded = self.backend.load(REF)
        self.manager = SimpleNamespace(verify=lambda: None, provider=lambda: {"type": "passphrase"})
        self.context = SimpleNamespace(cancel=SimpleNamespace(terminated=threading.Event()))

    def keep_salt(self) -> None: ...

    def check_lock(self) -> None: ...

    def save(self, snapshot: Snapshot, *, fresh: bool = False, sync: bool = True) -> bytes:
        snapshot.secrets_provider = self.manager.provider()
        text = self.codec.dumps(snapshot, fresh=fresh)
        return self.backend.write(REF, text, version=3, features=tuple(features(snapshot)), sync=sync)

    def load(self) -> Snapshot:
        return self.codec.from_dict(self.loaded.deployment)


def made(bucket: Bucket, resources: list[State]) -> OneStack:
    snapshot = Snapshot(resources=resources, secrets_provider={"type": "passphrase"})
    DiyBackend(bucket).create(REF, Codec(PlainCipher()).dumps(snapshot))
    return OneStack(bucket)


def state(name: str, *needs: str, fill: int = 0, **more: Any) -> State:
    return State(
        urn=PREFIX + name,
        type="t:m:T",
        custom=True,
        id=f"{name}-id",
        inputs={"fill": "x" * fill, "pw": Secret("hush")},
        dependencies=[PREFIX + need for need in needs],
        **more,
    )


def shape(deployment: dict[str, Any]) -> str:
    """A deployment without what is of the moment; of what is under way, what and on which."""
    pending = [(op["type"], op["resource"]["urn"]) for op in deployment.get("pending_operations", ())]
    return json.dumps([deployment.get("resources", []), pending], sort_keys=True)


def journal_keys(bucket: Bucket) -> list[str]:
    return bucket.keys(".pulumi/journal/")


# ------------------------------------------------------------------ any kill


class Run:
    """One operation on a stack in memory, looked at after every single thing that is done to the bucket."""

    def __init__(self, count: int) -> None:
        self.bucket = MemoryBucket()
        # Each needs the one before.
        olds = [state(f"o{n}", *([f"o{n - 1}"] if n else []), fill=60) for n in range(count)]
        self.stack = made(self.bucket, olds)
        snapshot = self.stack.load()
        self.olds = list(snapshot.resources)
        self.codec = Codec(PlainCipher())
        self.allowed = {shape(self.stack.loaded.deployment)}
        self.kills = 0
        self.replayed = 0
        self.saver = Saver(self.stack, snapshot)  # type: ignore[arg-type]
        self.journal = Journal(snapshot, self.save)
        self.bucket.after_each = self.look
        self.under_way: list[State] = []
        self.new = 0

    def save(self, change: Change) -> None:
        before = self.now()
        after = shape(self.codec.to_dict(change.snapshot()))
        self.allowed = {before, after}
        self.saver.save(change)
        # The last one changes nothing of an object, and comes with what `close` writes.
        assert self.now() == (before if change.last else after)
        self.allowed = {before, after} if change.last else {after}

    def now(self) -> str:
        return shape(DiyBackend(self.bucket).load(REF).deployment)

    def look(self) -> None:
        """What another process would find, were this one killed now; looking changes nothing."""
        before = dict(self.bucket.items)
        loaded = DiyBackend(self.bucket).load(REF)
        assert self.bucket.items == before
        verify(Codec(PlainCipher()).from_dict(loaded.deployment))
        assert shape(loaded.deployment) in self.allowed
        self.kills += 1
        self.replayed += loaded.recovered

    # -------------------------------------------------------- what steps do

    def old(self, number: int) -> State | None:
        left = [s for s in self.journal.left() if not s.delete and not s.pending_replacement and s in self.olds]
        return left[number % len(left)] if left else None

    def first_old(self) -> State | None:
        return next((s for s in self.journal.left() if not s.delete and not s.pending_replacement), None)

    def begin_create(self, _: int) -> None:
        self.new += 1
        one = state(f"n{self.new}", fill=40)
        self.journal.begin("creating", one)
        self.under_way.append(one)

    def end_one(self, number: int) -> None:
        if self.under_way:
            one = self.under_way.pop(number % len(self.under_way))
            self.journal.end(one, made=one if number % 3 else None)

    def update(self, _: int) -> None:
        if (old := self.first_old()) is not None:
            new = state(old.urn.split("::")[-1], fill=80, protect=True)
            new.dependencies = list(old.dependencies)
            self.journal.begin("updating", new)
            self.journal.end(new, made=new, gone=[old])
            new.outputs = {"out": "put"}
            self.journal.touched(new)

    def same(self, number: int) -> None:
        if (old := self.first_old()) is not None:
            new = state(old.urn.split("::")[-1], fill=60)
            new.dependencies = list(old.dependencies)
            self.journal.same(old, new, changed=number % 2 == 0)

    def replaced(self, _: int) -> None:
        if (old := self.first_old()) is not None:
            new = state(old.urn.split("::")[-1], fill=50)
            new.dependencies = list(old.dependencies)
            self.journal.begin("creating", new)
            old.delete = True
            self.journal.end(new, made=new)

    def renamed(self, _: int) -> None:
        if (old := self.first_old()) is not None:
            self.new += 1
            new = state(f"r{self.new}", fill=60)
            new.dependencies = list(old.dependencies)
            self.journal.rename({new.urn: old.urn})
            self.journal.same(old, new, changed=True)

    def rename_and_replace(self, _: int) -> None:
        if (old := self.first_old()) is not None:
            self.new += 1
            new = state(f"r{self.new}", fill=60)
            new.dependencies = list(old.dependencies)
            self.journal.rename({new.urn: old.urn})
            self.journal.begin("creating", new)
            old.delete = True
            self.journal.end(new, made=new)

    def deleted_to_be_replaced(self, _: int) -> None:
        left = [s for s in self.journal.left() if not s.delete and not s.pending_replacement]
        if left:
            self.journal.begin("deleting", left[-1])
            left[-1].pending_replacement = True
            self.journal.end(left[-1])

    def delete_last(self, _: int) -> None:
        left = self.journal.left()
        if left and not any(s.urn == left[-1].urn for s in left[:-1]):
            self.journal.begin("deleting", left[-1])
            self.journal.end(left[-1], gone=[left[-1]])

    def refreshed(self, _: int) -> None:
        self.under_way.clear()
        now = self.journal.snapshot()
        self.journal = Journal(Snapshot(resources=now.resources), self.save)
        self.journal.rebase(Snapshot(resources=now.resources))
        self.olds = []


ACTIONS = (
    *("begin_create", "end_one", "update", "same", "replaced", "renamed", "rename_and_replace"),
    *("deleted_to_be_replaced", "delete_last", "refreshed"),
)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(savers, "WHOLE_BYTES", 1000)


@settings(max_examples=60)
@given(
    count=st.integers(0, 9),
    script=st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), min_size=1, max_size=25),
    ended=st.booleans(),
)
def test_killed_after_any_write_the_state_is_of_before_or_after_the_step(
    count: int, script: list[tuple[str, int]], ended: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(savers, "WHOLE_BYTES", 1000)
        run = Run(count)
        for action, number in script:
            getattr(run, action)(number)
        run.journal.finish()
        if ended:
            run.saver.close()
            assert journal_keys(run.bucket) == []
        assert run.now() in run.allowed


@pytest.mark.usefixtures("small_limits")
def test_the_test_above_sees_journals_and_their_ends() -> None:
    run = Run(9)
    for action in ACTIONS[:-1] * 2:
        getattr(run, action)(1)
    assert run.replayed > 20
    assert journal_keys(run.bucket)
    manifest = json.loads(run.bucket.items[".pulumi/journal/proj/dev/manifest.json"])
    assert set(manifest) == {"epochID", "baseCheckpointHash", "createdAt", "engine"}
    run.saver.close()
    assert journal_keys(run.bucket) == []


# ------------------------------------------------------------------ what it costs


def cost(count: int) -> tuple[int, int]:
    """(writes, bytes) of a run that makes `count` resources."""
    bucket = MemoryBucket()
    stack = made(bucket, [])
    saver = Saver(stack, stack.load())  # type: ignore[arg-type]
    journal = Journal(stack.load(), saver.save)
    for number in range(count):
        one = state(f"n{number}", fill=500)
        journal.begin("creating", one)
        journal.end(one, made=one)
    saver.close()
    return bucket.writes, bucket.bytes_written


def test_a_run_of_n_resources_costs_n_writes() -> None:
    (few, few_bytes), (many, many_bytes) = cost(1000), cost(4000)
    assert many < 4.5 * few
    # What the state has while it is small, and is written whole, is the same for both.
    (_, hundred_bytes) = cost(100)
    assert many_bytes - hundred_bytes < 5 * (few_bytes - hundred_bytes)
    assert many_bytes - hundred_bytes < 3900 * 1000 * 4


def test_one_step_in_a_large_state_writes_only_that_step() -> None:
    bucket = MemoryBucket()
    stack = made(bucket, [state(f"o{n}", fill=1000) for n in range(200)])
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    journal = Journal(snapshot, saver.save)
    before = bucket.bytes_written
    new = state("n", fill=1000)
    journal.begin("creating", new)
    journal.end(new, made=new)
    assert bucket.bytes_written - before < 5000
    assert OneStack(bucket).load().resources[0].urn == new.urn


def test_a_small_state_is_whole_at_any_moment() -> None:
    bucket = MemoryBucket()
    stack = made(bucket, [state("o")])
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    journal = Journal(snapshot, saver.save)
    new = state("n")
    journal.begin("creating", new)
    assert journal_keys(bucket) == []
    latest = json.loads(bucket.items[".pulumi/stacks/proj/dev.json"])["checkpoint"]["latest"]
    assert [op["type"] for op in latest["pending_operations"]] == ["creating"]


# ------------------------------------------------------------------ the store


@pytest.fixture(params=["file", "postgres", "memory"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    found: Bucket
    if request.param == "file":
        found = FileBucket(tmp_path.as_uri(), tmp_path)
    elif request.param == "postgres":
        database: MainDatabase = request.getfixturevalue("main_db")
        found = PostgresBucket(database.url, {})
    else:
        found = MemoryBucket()
    yield found
    found.close()


@pytest.fixture
def killed(bucket: Bucket) -> Bucket:
    """After a run that has made `a`, and was making `b`, on a large state."""
    stack = made(bucket, [state("o", fill=80_000)])
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    journal = Journal(snapshot, saver.save)
    a, b = state("a"), state("b")
    journal.begin("creating", a)
    journal.end(a, made=a)
    journal.begin("creating", b)
    return bucket


def names(bucket: Bucket) -> list[str]:
    deployment = DiyBackend(bucket).read(REF)
    return [r["urn"].split("::")[-1] for r in deployment["resources"]] + [
        f"{op['type']} {op['resource']['urn'].split('::')[-1]}" for op in deployment.get("pending_operations", ())
    ]


ENTRY = ".pulumi/journal/proj/dev/{:010d}.journal.json"


def test_entries_are_in_the_stock_form(killed: Bucket) -> None:
    assert names(killed) == ["a", "o", "creating b"]
    assert journal_keys(killed)[:3] == [ENTRY.format(n) for n in (1, 2, 3)]
    entries = [json.loads(killed.read(ENTRY.format(n)) or b"") for n in (1, 2, 3)]
    assert [e["kind"] for e in entries] == [Kind.BEGIN, Kind.SUCCESS, Kind.BEGIN]
    assert [e["sequenceID"] for e in entries] == [1, 2, 3]
    assert entries[0]["operationID"] == entries[1]["operationID"] != entries[2]["operationID"]
    assert all(e["version"] == 1 and e["removeOld"] is None and e["removeNew"] is None for e in entries)
    assert entries[0]["operation"]["type"] == "creating"
    assert entries[1]["state"]["urn"] == PREFIX + "a"
    assert b"hush" not in b"".join(killed.read_all(".pulumi/").values())


def test_the_next_whole_checkpoint_ends_it(killed: Bucket) -> None:
    stack = OneStack(killed)
    assert stack.loaded.recovered
    snapshot = stack.load()
    stack.save(snapshot)
    assert journal_keys(killed) == []
    assert names(killed) == ["a", "o", "creating b"]


def test_the_next_run_begins_with_a_whole_checkpoint(killed: Bucket) -> None:
    stack = OneStack(killed)
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    saver.prepare()
    assert journal_keys(killed) == []
    assert names(killed) == ["a", "o", "creating b"]
    journal = Journal(snapshot, saver.save)
    c = state("c", "a")
    journal.begin("creating", c)
    assert names(killed) == ["a", "o", "creating c", "creating b"]
    journal.same(snapshot.resources[0], new_a := state("a"), changed=False)
    journal.end(c, made=c)
    assert new_a.urn.endswith("::a")
    assert names(killed) == ["a", "c", "o", "creating b"]
    assert journal_keys(killed) != []
    saver.close()
    assert names(killed) == ["a", "c", "o", "creating b"]
    assert journal_keys(killed) == []


def test_what_is_left_of_another_checkpoints_journal_says_nothing(killed: Bucket) -> None:
    left = killed.read_all(".pulumi/journal/")
    stack = OneStack(killed)
    stack.save(Snapshot(resources=[state("z")]))
    killed.write_all(left)
    assert names(killed) == ["z"]
    # Nor do its entries, once there is a new manifest.
    backend = DiyBackend(killed)
    base = digest(backend.load(REF).data)
    manifest = {"epochID": "other", "baseCheckpointHash": base, "createdAt": "now", "engine": "embedded"}
    killed.write(".pulumi/journal/proj/dev/manifest.json", json.dumps(manifest).encode())
    assert names(killed) == ["z"]
    stack = OneStack(killed)
    stack.save(stack.load())
    assert journal_keys(killed) == []


@pytest.mark.parametrize("damage", [b"", b'{"version": 1, "kind"', b"[]", None])
def test_a_torn_last_entry_has_not_happened(killed: Bucket, damage: bytes | None) -> None:
    torn(killed, 3, damage)
    assert names(killed) == ["a", "o"]


def torn(bucket: Bucket, number: int, damage: bytes | None) -> None:
    if damage is None:
        bucket.delete(ENTRY.format(number))
    else:
        bucket.write(ENTRY.format(number), damage)


@pytest.mark.parametrize("damage", [b"", None])
def test_an_entry_that_is_missing_before_a_beginning_is_damage_with_a_way_back(
    killed: Bucket, damage: bytes | None
) -> None:
    torn(killed, 2, damage)
    with pytest.raises(StateError, match="is missing or damaged, and others come after it") as failure:
        DiyBackend(killed).read(REF)
    folder = ".pulumi/journal/proj/dev/"
    assert folder in str(failure.value)
    killed.delete_all(folder)
    assert names(killed) == ["o"]


def test_a_change_of_which_a_part_is_missing_has_not_happened() -> None:
    """References follow a rename: that takes more than one entry."""
    bucket = MemoryBucket()
    stack = made(bucket, [state("old", fill=80_000), state("child", "old"), state("other", "old")])
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    journal = Journal(snapshot, saver.save)
    first, new = state("first"), state("new")
    journal.begin("creating", first)
    journal.end(first, made=first)
    journal.rename({new.urn: PREFIX + "old"})
    journal.same(snapshot.resources[0], new, changed=True)
    assert names(bucket) == ["first", "new", "child", "other"]
    entries = [key for key in journal_keys(bucket) if not key.endswith("manifest.json")]
    assert len(entries) == 5
    for key in reversed(entries[2:]):
        bucket.delete(key)
        assert names(bucket) == ["first", "old", "child", "other"]
        verify(OneStack(bucket).load())


def test_what_could_not_be_written_is_written_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = MemoryBucket()
    stack = made(bucket, [state("o", fill=80_000)])
    snapshot = stack.load()
    saver = Saver(stack, snapshot)  # type: ignore[arg-type]
    journal = Journal(snapshot, saver.save)
    a, b, c = state("a"), state("b"), state("c")
    journal.begin("creating", a)

    def full(*_: object, **__: object) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "write_all", full)
        with pytest.raises(StateError, match="full"):
            journal.end(a, made=a)
        with pytest.raises(StateError, match="full"):
            journal.begin("creating", b)
    assert names(bucket) == ["o", "creating a"]
    journal.begin("creating", c)
    assert names(bucket) == ["a", "o", "creating b", "creating c"]
    journal.end(b, made=b)
    assert names(bucket) == ["a", "b", "o", "creating c"]
    saver.close()
    assert names(bucket) == ["a", "b", "o", "creating c"]


def test_who_reads_while_somebody_writes_sees_one_moment(tmp_path: Path) -> None:
    """Every state that a reader may see is one that there was: `n` resources, the last of them perhaps under way."""

    def open_bucket() -> FileBucket:
        return FileBucket(tmp_path.as_uri(), tmp_path)

    stack = made(open_bucket(), [state("o", fill=80_000)])
    over = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not over.is_set():
            try:
                found = names(open_bucket())
            except StateError as error:
                wrong.append(str(error))
                return
            made_ones = [name for name in found if name.startswith("n")]
            if made_ones != [f"n{n}" for n in range(len(made_ones))] or "o" not in found:
                wrong.append(str(found))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        snapshot = stack.load()
        saver = Saver(stack, snapshot)  # type: ignore[arg-type]
        journal = Journal(snapshot, saver.save)
        for number in range(60):
            one = state(f"n{number}")
            journal.begin("creating", one)
            journal.end(one, made=one)
        saver.close()
    finally:
        over.set()
        reader.join()
    assert wrong == []


# ------------------------------------------------------------------ the stock Pulumi's


def entry(kind: Kind, number: int, of: int, **more: Any) -> dict[str, Any]:
    return {"version": 1, "kind": int(kind), "sequenceID": number, "operationID": of, **more}


def resource(name: str, **more: Any) -> dict[str, Any]:
    return {"urn": PREFIX + name, "custom": True, "type": "t:m:T", "id": name, **more}


BASE = {
    "manifest": {},
    "secrets_providers": {"type": "passphrase"},
    "resources": [resource("a"), resource("b", dependencies=[PREFIX + "a"]), resource("c", parent=PREFIX + "b")],
    "pending_operations": [
        {"type": "creating", "resource": resource("lost")},
        {"type": "updating", "resource": resource("a")},
    ],
}


def replayed(*entries: dict[str, Any], base: dict[str, Any] = BASE) -> dict[str, Any]:
    return replay(base, entries)


def urns(deployment: dict[str, Any]) -> list[str]:
    return [r["urn"].removeprefix(PREFIX) for r in deployment.get("resources", ())]


def test_pending_creates_of_earlier_runs_stay_and_nothing_else_of_them() -> None:
    assert [op["type"] for op in replayed()["pending_operations"]] == ["creating"]


def test_flags_and_removals() -> None:
    done = replayed(
        entry(Kind.BEGIN, 1, 1, operation={"type": "creating", "resource": resource("a")}),
        entry(Kind.SUCCESS, 2, 1, state=resource("a", id="new"), deleteOld=0),
        entry(Kind.SUCCESS, 3, 2, pendingReplacementOld=2),
        entry(Kind.SUCCESS, 4, 3, state=resource("d")),
        entry(Kind.SUCCESS, 5, 4, removeNew=3),
        entry(Kind.SUCCESS, 6, 5, deleteNew=1),
        entry(Kind.OUTPUTS, 7, 6, removeOld=1, state=resource("b", outputs={"x": 1})),
    )
    assert urns(done) == ["a", "a", "b", "c"]
    assert [r.get("delete", False) for r in done["resources"]] == [True, True, False, False]
    assert done["resources"][3]["pendingReplacement"]
    assert done["resources"][2]["outputs"] == {"x": 1}
    assert BASE["resources"][0] == resource("a")  # type: ignore[index]


def test_a_refresh_drops_what_is_gone_and_references_to_it() -> None:
    done = replayed(entry(Kind.REFRESH_SUCCESS, 1, 1, removeOld=1), entry(Kind.REFRESH_SUCCESS, 2, 2, removeOld=0))
    assert urns(done) == ["c"]
    assert not done["resources"][0].get("parent")
    again = replayed(entry(Kind.REFRESH_SUCCESS, 1, 1, removeOld=0), entry(Kind.REBUILT_BASE_STATE, 2, 2))
    assert urns(again) == ["b", "c"]
    assert again["resources"][0]["dependencies"] == []
    whole = replayed(entry(Kind.WRITE, 1, 1, newSnapshot={"resources": [resource("z")]}))
    assert urns(whole) == ["z"]


@pytest.mark.parametrize(
    "bad",
    [
        entry(Kind.BEGIN, 7, 1) | {"version": 2},
        entry(Kind.BEGIN, 7, 1) | {"kind": 10},
        {"version": 1, "sequenceID": 7},
        entry(Kind.SUCCESS, 7, 1, deleteOld=99),
    ],
)
def test_entries_that_are_not_understood_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(StateError, match="entry 7 of the journal makes no sense"):
        replayed(bad)


def test_a_whole_change_is_for_those_who_have_no_journal() -> None:
    pending = PendingOperation(type="creating", resource=state("a"))
    change = whole_change(Snapshot(pending=[pending]))
    assert change.snapshot().pending == [pending]
    assert [op for _, op in change.under_way] == [pending]
