"""Claims that keep what they hold."""

from typing import Any

import pytest

from providers.kubernetes.keeping import KEPT, kept
from providers.plugin.errors import RefusedError
from providers.plugin.wire import UNKNOWN


def claim(storage: Any, *modes: str, marked: bool = True, **more: Any) -> dict[str, Any]:
    annotations = {"annotations": {KEPT: "true"}} if marked else {}
    spec = {"accessModes": list(modes or ["ReadWriteOnce"]), "resources": {"requests": {"storage": storage}}, **more}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": "a", **annotations}, "spec": spec}


@pytest.mark.parametrize(
    ("before", "asked", "storage"),
    [("20Gi", "1Gi", "20Gi"), ("1024Mi", "1Gi", "1Gi"), ("1Gi", "1025Mi", "1025Mi"), ("1Gi", UNKNOWN, UNKNOWN)],
)
def test_it_grows_and_does_not_shrink(before: str, asked: Any, storage: Any) -> None:
    assert kept(claim(asked), claim(before)) == claim(storage)


def test_it_keeps_its_class_also_where_that_was_the_clusters_own() -> None:
    assert kept(claim("1Gi", storageClassName="b"), claim("1Gi", storageClassName="a")) == claim(
        "1Gi", storageClassName="a"
    )
    assert kept(claim("1Gi", storageClassName="b"), claim("1Gi")) == claim("1Gi")


def test_one_that_several_nodes_reach_is_enough_for_one() -> None:
    assert kept(claim("1Gi"), claim("1Gi", "ReadWriteMany")) == claim("1Gi", "ReadWriteMany")


def test_one_that_is_to_be_reached_by_several_is_refused() -> None:
    with pytest.raises(RefusedError, match="accessModes are ReadWriteOnce: with ReadWriteMany it would be another"):
        kept(claim("1Gi", "ReadWriteMany"), claim("1Gi"))


def test_one_that_is_to_be_elsewhere_is_refused() -> None:
    before, asked = claim("1Gi"), claim("1Gi")
    before["metadata"]["namespace"], asked["metadata"]["namespace"] = "isp-a", "shared"
    with pytest.raises(RefusedError, match="is in the namespace isp-a: in shared it would be another"):
        kept(asked, before)
    before["metadata"]["namespace"] = "shared"
    assert kept(asked, before) == asked


def test_a_new_one_and_one_without_the_mark_are_as_they_are_asked_for() -> None:
    assert kept(claim("1Gi"), {}) == claim("1Gi")
    plain = claim("1Gi", "ReadWriteMany", marked=False)
    assert kept(plain, claim("2Gi", marked=False)) == plain
