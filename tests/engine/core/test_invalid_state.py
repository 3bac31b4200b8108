"""A state that is not valid is refused before anything is done, and one that cannot be written ends the update."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import bucket as buckets
from engine import secrets
from engine.errors import StateError
from tests.engine.core.cloud import Cloud
from tests.engine.core.program import bucket, ref
from tests.engine.core.site import Site, a_site

UP = ("up", "--yes", "--skip-preview", "--stack", "test")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(secrets, "ROUNDS", 1)
    (tmp_path / "Pulumi.yaml").write_text("name: invalid\nruntime: python\n", encoding="utf-8")
    with a_site(tmp_path, Cloud()) as found:
        assert found.command("stack", "init", "test")[0] == 0
        found.language.items = (bucket("a"), bucket("b", source=ref("a")))
        code, text = found.command(*UP)
        assert code == 0, text
        yield found


def without(resources: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [r for r in resources if not r["urn"].endswith(f"::{name}")]


@pytest.mark.parametrize("words", [UP, ("preview", "--stack", "test"), ("refresh", *UP[1:]), ("destroy", *UP[1:])])
@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda found: without(found, "a"), "refers to missing resource"),
        (lambda found: without(found, "default"), "refers to unknown provider"),
        (lambda found: [*found, found[-1]], "duplicate resource"),
        (lambda found: [*found[:2], found[3], found[2]], "comes after it"),
    ],
)
def test_24_an_invalid_state_is_refused_on_reading(site: Site, words: tuple[str, ...], broken: Any, told: str) -> None:
    (path,) = (site.folder / ".pulumi" / "stacks").rglob("test.json")
    body = json.loads(path.read_text(encoding="utf-8"))
    latest = body["checkpoint"]["latest"]
    latest["resources"] = broken(latest["resources"])
    path.write_text(json.dumps(body), encoding="utf-8")
    before, objects = path.read_bytes(), dict(site.cloud.objects)
    site.cloud.calls.clear()
    code, text = site.command(*words)
    assert code == 1
    assert told in text
    assert "urn:pulumi:test::invalid::" in text
    assert "test.json.bak" in text, "it says where to go back to"
    assert (path.read_bytes(), site.cloud.objects, site.cloud.calls) == (before, objects, [])


def test_24_a_state_that_cannot_be_written_ends_the_update_and_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, writes = buckets.write_atomic, 0

    def disk_full(path: Path, data: bytes, **options: Any) -> None:
        nonlocal writes
        writes += path.name == "test.json"
        if path.name == "test.json" and writes == 1:
            raise StateError(f"cannot write {path}: no space left on device")
        write(path, data, **options)

    monkeypatch.setattr(buckets, "write_atomic", disk_full)
    site.language.items = (bucket("a", size=2), bucket("b", source=ref("a")))
    code, text = site.command(*UP)
    assert code == 1
    assert "no space left on device" in text
    monkeypatch.undo()
    monkeypatch.setattr(secrets, "ROUNDS", 1)
    assert site.command(*UP)[0] == 0
    assert site.owned == set(site.cloud.objects)
    assert site.cloud.of("a")["size"] == 2
