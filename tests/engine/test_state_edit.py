"""`state delete|rename|repair|protect`, tags and locks: what they do to a state, and what they refuse."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import secrets
from engine.cli import main
from engine.errors import EngineError, StateError
from engine.resource import State, provider_ref
from engine.snapshot import PendingOperation, Snapshot, verify
from engine.state_edit import forget, forget_all, located, rename_resource, set_protection
from engine.state_repair import repaired
from engine.streams import Streams
from tests.engine.test_cli import STACK_URN, Workspace

PREFIX = "urn:pulumi:dev::proj::"
PROVIDER = f"{PREFIX}pulumi:providers:pkg::prov"


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "ROUNDS", 1000)


def urn(name: str, type_: str = "t:m:T") -> str:
    return f"{PREFIX}{type_}::{name}"


def state(name: str, *needs: str, **more: Any) -> State:
    return State(
        **{
            "urn": urn(name),
            "type": "t:m:T",
            "custom": True,
            "id": f"{name}-id",
            "dependencies": [urn(need) for need in needs],
            **more,
        }
    )


def urns(snapshot: Snapshot) -> list[str]:
    return [state.urn.removeprefix(PREFIX) for state in snapshot.resources]


# ------------------------------------------------------------------ delete


def test_what_is_needed_stays_unless_its_dependents_go_too() -> None:
    a, b, c = state("a"), state("b", "a"), state("c", parent=urn("b"))
    snapshot = Snapshot(resources=[a, b, c])
    with pytest.raises(EngineError, match="the following resources depend on it") as failure:
        forget(snapshot, a.urn, force=False, dependents=False)
    assert f' * "b"             ({b.urn})\n * "c"             ({c.urn})\n' in str(failure.value)
    assert "pass --target-dependents" in str(failure.value)
    done, _ = forget(snapshot, a.urn, force=False, dependents=True)
    assert done.resources == []
    done, _ = forget(snapshot, c.urn, force=False, dependents=False)
    assert done.resources == [a, b]


def test_protection_is_for_dependents_too_and_force_tells_of_it() -> None:
    a, b = state("a"), state("b", "a", protect=True)
    with pytest.raises(EngineError, match=r"::b can't be safely deleted because it is protected.*--force"):
        forget(Snapshot(resources=[a, b]), a.urn, force=False, dependents=True)
    done, forced = forget(Snapshot(resources=[a, b]), a.urn, force=True, dependents=True)
    assert (done.resources, forced) == ([], [b])
    with pytest.raises(EngineError, match="::b can't be safely deleted"):
        forget_all(Snapshot(resources=[a, b]), force=False)
    done, forced = forget_all(Snapshot(resources=[a, b]), force=True)
    assert (done.resources, forced) == ([], [b])


def test_of_two_with_one_urn_one_must_be_chosen() -> None:
    new, old, needing = state("a", id="new"), state("a", id="old", delete=True), state("b", "a")
    snapshot = Snapshot(resources=[new, needing, old])
    with pytest.raises(EngineError, match="ambiguously referred to multiple resources") as failure:
        located(snapshot, new.urn)
    assert "  new\n  old (pending deletion)\n" in str(failure.value)
    # What is left over is needed by nobody.
    done, _ = forget(snapshot, new.urn, force=False, dependents=False, choose=lambda found: found[1])
    assert done.resources == [new, needing]
    with pytest.raises(EngineError, match="depend on it"):
        forget(snapshot, new.urn, force=False, dependents=False, choose=lambda found: found[0])
    with pytest.raises(EngineError, match='No such resource "nobody"'):
        located(snapshot, "nobody")


def test_protection_of_all_that_share_a_urn_and_no_half_deeds() -> None:
    new, old = state("a"), state("a", delete=True)
    snapshot = Snapshot(resources=[new, old])
    assert set_protection(snapshot, [urn("a")], protect=True) == 1
    assert (new.protect, old.protect) == (True, True)
    with pytest.raises(EngineError, match=r'"x" exists.*\n.*"y" exists'):
        set_protection(snapshot, [urn("a"), "y", "x"], protect=False)
    assert new.protect
    assert set_protection(snapshot, None, protect=False) == 1


# ------------------------------------------------------------------ rename


def test_a_rename_takes_every_reference_along() -> None:
    a = state("a")
    b = state(
        "b",
        "a",
        parent=urn("a"),
        deleted_with=urn("a"),
        replace_with=[urn("a")],
        view_of=urn("a"),
        property_dependencies={"p": [urn("a")]},
    )
    pending = PendingOperation(type="updating", resource=state("c", "a"))
    done = rename_resource(Snapshot(resources=[a, b], pending=[pending]), urn("a"), "new::name")
    new = urn("new::name")
    assert a.urn == new
    assert (b.parent, b.deleted_with, b.view_of) == (new, new, new)
    assert (b.dependencies, b.replace_with, b.property_dependencies) == ([new], [new], {"p": [new]})
    assert pending.resource.dependencies == [new]
    verify(done)


def test_a_provider_keeps_its_resources() -> None:
    provider = state("prov", urn=PROVIDER, type="pulumi:providers:pkg", id="0-1")
    user = state("a", provider=provider_ref(PROVIDER, "0-1"))
    done = rename_resource(Snapshot(resources=[provider, user]), PROVIDER, "other")
    assert user.provider == f"{PREFIX}pulumi:providers:pkg::other::0-1"
    verify(done)


@pytest.mark.parametrize(
    ("old", "name", "words"),
    [
        ("nonsense", "x", "The provided input URN is not valid"),
        (urn("nobody"), "x", "does not correspond to an existing resource"),
        (urn("two"), "x", "does not correspond to an existing resource"),
        (urn("a"), "b", "corresponds to an already existing resource"),
        (urn("a"), "", "may not be empty"),
    ],
)
def test_renames_that_are_refused(old: str, name: str, words: str) -> None:
    snapshot = Snapshot(resources=[state("a"), state("b"), state("two"), state("two", delete=True)])
    with pytest.raises(EngineError, match=words):
        rename_resource(snapshot, old, name)


# ------------------------------------------------------------------ repair


def test_what_is_out_of_order_is_put_in_order() -> None:
    snapshot = Snapshot(resources=[state("c", "b"), state("a"), state("b", "a"), state("d")])
    repair = repaired(snapshot)
    assert urns(repair.snapshot) == ["t:m:T::a", "t:m:T::b", "t:m:T::c", "t:m:T::d"]
    assert [s.urn for s in repair.moved] == [urn("c")]
    assert "reordered to appear before their dependents:\n\n* " + urn("c") in repair.described()


def test_references_to_what_is_gone_are_dropped_and_children_get_their_own_urn() -> None:
    child = state(
        "child",
        "gone",
        "a",
        urn=urn("child", "x:y:Gone$t:m:T"),
        parent=urn("gone", "x:y:Gone"),
        deleted_with=urn("gone"),
        replace_with=[urn("gone"), urn("a")],
        property_dependencies={"p": [urn("gone")], "q": [urn("a"), urn("gone")], "r": []},
    )
    below = state("below", urn=urn("below", "x:y:Gone$t:m:T$t:m:T"), parent=child.urn)
    repair = repaired(Snapshot(resources=[state("a"), child, below]))
    _, new, lower = repair.snapshot.resources
    assert (new.urn, new.parent, new.deleted_with) == (urn("child"), "", "")
    assert (new.dependencies, new.replace_with) == ([urn("a")], [urn("a")])
    assert new.property_dependencies == {"q": [urn("a")], "r": []}
    assert (lower.urn, lower.parent) == (urn("below", "t:m:T$t:m:T"), urn("child"))
    words = repair.described()
    assert f"  ~ {urn('child')} [urn]" in words
    for kind in ("parent", "dependency", "deleted with", "replace with", "property dependency: q"):
        assert f"[{kind}]" in words
    # What was given stays as it was.
    assert child.urn == urn("child", "x:y:Gone$t:m:T")


def test_an_old_one_needs_the_old_one() -> None:
    old_a, old_b = state("a", delete=True, id="1"), state("b", "a", delete=True, id="1")
    new_b = state("b", "a", id="2")
    new_a = state("a", id="2")
    repair = repaired(Snapshot(resources=[new_b, new_a, old_b, old_a]))
    order = repair.snapshot.resources
    assert [(s.urn[-1], s.id) for s in order] == [("a", "2"), ("b", "2"), ("a", "1"), ("b", "1")]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ([state("a", "b"), state("b", "a")], "cannot be put in order: .*::b needs .*::a"),
        ([state("a"), state("a")], "duplicate resource"),
        ([state("a", provider=provider_ref(PROVIDER, "0-1"))], "unknown provider"),
    ],
)
def test_what_cannot_be_repaired_is_told(resources: list[State], words: str) -> None:
    with pytest.raises(StateError, match=words):
        repaired(Snapshot(resources=resources))


def test_a_long_chain_is_sorted_too() -> None:
    count = 5000
    chain = [state(f"n{n}", *([f"n{n - 1}"] if n else [])) for n in range(count)]
    repair = repaired(Snapshot(resources=list(reversed(chain))))
    assert [s.urn for s in repair.snapshot.resources] == [s.urn for s in chain]


@given(st.data())
def test_whatever_has_no_circle_becomes_valid(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    order = data.draw(st.permutations(range(count)))
    resources = []
    for place, number in enumerate(order):
        earlier = [f"n{other}" for other in order[:place]] + ["gone"]
        needs = data.draw(st.lists(st.sampled_from(earlier), max_size=3))
        parent = data.draw(st.sampled_from(["", *(urn(need) for need in earlier)]))
        resources.append(state(f"n{number}", *needs, parent=parent))
    shuffled = data.draw(st.permutations(resources))
    repair = repaired(Snapshot(resources=list(shuffled)))
    verify(repair.snapshot)
    again = repaired(repair.snapshot)
    assert (again.moved, list(again.pruned)) == ((), [])


# ------------------------------------------------------------------ the commands


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path)
    found.run("stack", "init", "dev")
    return found


def resource(name: str, **more: Any) -> dict[str, Any]:
    return {"urn": urn(name), "custom": True, "id": f"{name}-id", "type": "t:m:T", **more}


def put(workspace: Workspace, *resources: dict[str, Any], **more: Any) -> None:
    """Writes a state past all checks."""
    body = json.loads(workspace.state_file.read_text())
    body["checkpoint"]["latest"] |= {"resources": list(resources), **more}
    workspace.state_file.write_text(json.dumps(body))


def names(workspace: Workspace) -> list[str]:
    deployment = json.loads(workspace.run("stack", "export").stdout)["deployment"]
    return [r["urn"].split("::")[-1] for r in deployment.get("resources", ())]


def typed(workspace: Workspace, words: Sequence[str], answers: str) -> tuple[int, str, str]:
    """A command at a terminal."""
    out, err = io.StringIO(), io.StringIO()
    streams = Streams(stdin=io.StringIO(answers), stdout=out, stderr=err, interactive=True)
    code = main(words, cwd=workspace.folder, environment={**os.environ, **workspace.env}, streams=streams)
    return code, out.getvalue(), err.getvalue()


def test_repair_from_the_command_line(workspace: Workspace) -> None:
    assert "already valid; skipping repair" in workspace.run("state", "repair").stdout
    put(
        workspace,
        resource("b", dependencies=[urn("a"), urn("gone")]),
        resource("a"),
        metadata={"integrity_error": {"version": "1", "command": "up", "error": "x"}},
    )
    for words in (["up", "--yes", "--skip-preview"], ["state", "protect", "--all", "--yes"], ["refresh", "--yes"]):
        failed = workspace.fails(*words).stderr
        assert "cannot be used" in failed
        assert "`pulumi state repair`" in failed
    before = workspace.state_file.read_bytes()
    asked = workspace.fails("state", "repair")
    assert "reordered to appear before their dependents" in asked.stdout
    assert "--yes must be passed" in asked.stderr
    assert workspace.state_file.read_bytes() == before
    code, out, _ = typed(workspace, ["state", "repair"], "no\n")
    assert (code, workspace.state_file.read_bytes()) == (0, before)
    assert "Confirmation denied" in out
    assert "State repaired successfully" in workspace.run("state", "repair", "--yes").stdout
    assert names(workspace) == ["a", "b"]
    assert workspace.state_file.with_name("dev.json.bak").read_bytes() == before
    assert "integrity_error" not in workspace.state_file.read_text()
    put(workspace, resource("b", dependencies=[urn("a")]), resource("a", dependencies=[urn("b")]))
    failed = workspace.fails("state", "repair", "--yes").stderr
    assert "Failed to repair the snapshot automatically: the state cannot be put in order" in failed
    assert "pulumi stack export --file state.json" in failed
    assert workspace.locks == []


def test_delete_and_rename_from_the_command_line(workspace: Workspace) -> None:
    old = resource("a", id="old", delete=True)
    put(workspace, resource("a"), resource("b", dependencies=[urn("a")], protect=True), old)
    failed = workspace.fails("state", "delete", urn("a"), "--yes").stderr
    assert "ambiguously" in failed
    code, out, _ = typed(workspace, ["state", "delete", urn("a")], "yes\n2\n")
    assert code == 0, out
    assert '2: "old" (Pending Deletion)' in out
    assert names(workspace) == ["a", "b"]
    assert workspace.run("state", "rename", urn("a"), "z", "--yes").stdout == "Resource renamed"
    assert names(workspace) == ["z", "b"]
    forced = workspace.run("state", "delete", urn("z"), "--target-dependents", "--force", "--yes")
    assert f"warning: deleting protected resource {urn('b')} due to presence of --force" in forced.stderr
    assert names(workspace) == []
    put(workspace, resource("a"), resource("b"))
    assert workspace.run("state", "delete", "--all", "--yes").stdout == "Resources deleted"
    assert names(workspace) == []
    assert "name the URN" in workspace.fails("state", "delete", "--yes").stderr
    assert "cannot specify a resource URN" in workspace.fails("state", "delete", urn("a"), "--all").stderr
    for refused in ("move", "edit", "upgrade"):
        assert f"state {refused}" in workspace.fails("state", refused).stderr


def test_tags_have_the_stock_form_and_its_rules(workspace: Workspace) -> None:
    workspace.run("stack", "tag", "set", "team:owner", "blue")
    path = workspace.state_file.with_name("dev.pulumi-tags")
    assert json.loads(path.read_text()) == {"version": 1, "tags": {"team:owner": "blue"}}
    workspace.run("stack", "init", "other")
    for tag, found in (("team:owner", ["dev"]), ("team:owner=blue", ["dev"]), ("team:owner=red", []), ("x", [])):
        listed = json.loads(workspace.run("stack", "ls", "--json", "--tag", tag).stdout)
        assert [row["name"] for row in listed] == found
    for name, value, words in (
        ("a b", "v", "may only contain alphanumerics"),
        ("x" * 41, "v", "too long"),
        ("x", "v" * 257, "value is too long"),
    ):
        assert words in workspace.fails("stack", "tag", "set", name, value, "--stack", "dev").stderr
    # As an earlier version of this engine wrote them.
    path.write_text('{"old": "form"}')
    assert workspace.run("stack", "tag", "get", "old", "--stack", "dev").stdout == "form"
    path.write_text('{"version": 2, "tags": {}}')
    assert "not of version 1" in workspace.fails("stack", "tag", "ls", "--stack", "dev").stderr


def test_stale_locks_are_told_and_broken_by_cancel_only(workspace: Workspace) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    folder = workspace.state_file.parents[2] / "locks" / "organization" / "proj" / "dev"
    folder.mkdir(parents=True)
    since = "2026-01-02T03:04:05Z"
    body = {"pid": gone.pid, "username": "eve", "hostname": socket.gethostname(), "timestamp": since}
    (folder / "x.json").write_text(json.dumps(body))
    failed = workspace.fails("state", "delete", "--all", "--yes")
    whose = f"created by eve@{socket.gethostname()} (pid {gone.pid}) at {since}"
    assert whose in failed.stderr
    assert "Stale: this host has no process" in failed.stdout
    assert f"Locked by a lock {whose}; there is no such process any more" in workspace.run("stack").stdout
    assert (folder / "x.json").exists()
    assert f"Removed the lock {whose}; there is no such process any more" in workspace.run("cancel", "--yes").stdout
    assert workspace.locks == []
    assert names(workspace) == []


def test_rm_with_backups_leaves_nothing(workspace: Workspace) -> None:
    backups = workspace.state_file.parents[2] / "backups" / "proj" / "dev"
    backups.mkdir(parents=True)
    (backups / "dev.1.json").write_text("{}")
    put(workspace, {"urn": STACK_URN, "custom": False, "type": "pulumi:pulumi:Stack"})
    workspace.run("stack", "rm", "--yes", "--remove-backups")
    assert [p.name for p in (workspace.state_file.parents[2]).rglob("*") if p.is_file()] == ["meta.yaml"]
