"""Images: built by either builder, built again when their files change, pushed to a registry and fetched from it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.little_registry import little_registry
from tests.docker.test_lifecycle import kinds
from tests.providers.plugin import UNKNOWN, CheckError, Plugin, PluginError, secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    shutil.copy("/bin/busybox", made / "busybox")
    (made / "Dockerfile").write_text(
        "FROM scratch AS base\nARG WHO=nobody\nLABEL who=$WHO\nCOPY busybox /bin/busybox\nCOPY . /files/\n"
        'FROM base AS more\nCMD ["/bin/busybox", "echo", "hello"]\n'
    )
    (made / ".dockerignore").write_text("# not these\n*.log\nsecret/\n")
    (made / "a.log").write_text("ignored")
    (made / "secret").mkdir()
    (made / "secret" / "key").write_text("ignored")
    (made / "one").write_text("1")
    return made


@pytest.fixture
def name(engine: Any, unique: str) -> Iterator[str]:
    yield f"tenantry-test/{unique}:1"
    for each in engine.images.list(f"tenantry-test/{unique}"):
        engine.images.remove(each.id, force=True)


@pytest.mark.parametrize("builder", ["BuilderV1", "BuilderBuildKit"])
def test_it_is_built_of_what_is_not_ignored(plugin: Plugin, engine: Any, folder: Path, name: str, builder: str) -> None:
    build = {"context": str(folder), "builderVersion": builder, "args": {"WHO": "me"}, "target": "more"}
    made = plugin.create("Image", "app", imageName=name, skipPush=True, build=build)
    seen = engine.images.get(name)
    assert seen.labels == {"who": "me"}
    assert made.id == name
    assert made.outputs["repoDigest"] == seen.id
    assert made.outputs["baseImageName"] == name
    assert b"hello" in engine.containers.run(name, remove=True)
    listed = engine.containers.run(name, ["/bin/busybox", "ls", "/files"], remove=True).split()
    assert listed == [b"Dockerfile", b"busybox", b"one"] or listed == [
        b".dockerignore",
        b"Dockerfile",
        b"busybox",
        b"one",
    ]
    assert not kinds(plugin.diff(made, imageName=name, skipPush=True, build=build))
    # Neither when a file was written nor one that is ignored makes a difference; what it holds does.
    (folder / "a.log").write_text("other")
    (folder / "one").touch()
    assert not kinds(plugin.diff(made, imageName=name, skipPush=True, build=build))
    (folder / "one").write_text("2")
    assert kinds(plugin.diff(made, imageName=name, skipPush=True, build=build)) == {"build": "UPDATE"}
    # Whatever is made from it is to know, already in a preview, that it will be another.
    preview = plugin.update(made, preview=True, imageName=name, skipPush=True, build=build)
    assert preview["repoDigest"] == UNKNOWN
    plugin.update(made, imageName=name, skipPush=True, build=build)
    assert engine.images.get(name).id == made.outputs["repoDigest"] != seen.id
    assert plugin.refresh(made)
    engine.images.remove(name, force=True)
    assert not plugin.refresh(made)
    engine.images.remove(seen.id, force=True)


def test_a_dockerfile_outside_of_the_folder(
    plugin: Plugin, engine: Any, folder: Path, name: str, tmp_path: Path
) -> None:
    outside = tmp_path / "Other"
    outside.write_text("FROM scratch\nLABEL from=outside\nCOPY one /one\n")
    build = {"context": str(folder), "dockerfile": str(outside)}
    plugin.create("Image", "app", imageName=name, skipPush=True, build=build)
    assert engine.images.get(name).labels == {"from": "outside"}


def test_which_builder_where_none_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from providers.docker import build_context, image

    context = build_context.find({"context": str(folder)})
    assert image._options("x", {}, context, {})["version"] == "2"
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    assert image._options("x", {}, context, {})["version"] == "1"
    assert image._options("x", {"builderVersion": "BuilderBuildKit"}, context, {})["version"] == "2"


def test_what_cannot_be_built_is_said(plugin: Plugin, folder: Path, name: str) -> None:
    def failing(**build: Any) -> str:
        with pytest.raises(PluginError) as caught:
            plugin.create("Image", "app", imageName=name, skipPush=True, build={"context": str(folder)} | build)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no such folder. Give build.context" in failing(context=str(folder / "not"))
    assert f"there is no Dockerfile at Other: try {folder / 'Other'}" in _with_file(folder, failing)
    assert "only folders are served here" in failing(context="https://example.com/repository.git")
    (folder / "Dockerfile").write_text("FROM scratch\nARG PASSWORD\nCOPY not-here /\nRUN echo $PASSWORD\n")
    for builder in ("BuilderV1", "BuilderBuildKit"):
        said = failing(builderVersion=builder, args={"PASSWORD": "w0rd-of-mine"})
        assert f"cannot build image '{name}': " in said
        assert "not-here" in said
        assert "w0rd-of-mine" not in said
    with pytest.raises(CheckError, match="one of BuilderV1, BuilderBuildKit"):
        plugin.check("Image", "app", imageName=name, skipPush=True, build={"builderVersion": "3"})


def _with_file(folder: Path, failing: Any) -> str:
    (folder / "Other").write_text("FROM scratch\n")
    said = str(failing(dockerfile="Other"))
    (folder / "Other").unlink()
    return said


def test_pushed_and_fetched_by_whoever_may(
    plugin: Plugin, process: Plugin, engine: Any, folder: Path, unique: str, host: str
) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY one /one\n")
    with little_registry("me:w0rd-of-mine") as registry:
        name = f"{registry.address}/{unique}:1"
        login = {"server": registry.address, "username": "me", "password": secret("w0rd-of-mine")}
        build = {"context": str(folder)}
        made = plugin.create("Image", "app", imageName=name, build=build, registry=login)
        assert made.outputs["repoDigest"].startswith(f"{registry.address}/{unique}@sha256:")
        assert made.outputs["registry"]["value"]["password"] == "w0rd-of-mine"
        assert made.outputs["registryServer"] == registry.address
        # Another password is no reason to build again, another registry is.
        other = login | {"password": secret("other-of-mine")}
        assert not kinds(plugin.diff(made, imageName=name, build=build, registry=other))
        assert kinds(plugin.diff(made, imageName=name, build=build, registry=login | {"server": "x"}))
        engine.images.remove(name, force=True)
        assert plugin.refresh(made)

        with pytest.raises(PluginError, match=r"check the user and password|give the registry's user") as caught:
            plugin.create("RemoteImage", "app", name=name, keep=False)
        assert f"cannot fetch image '{name}'" in str(caught.value)
        auth = [{"address": registry.address, "username": "me", "password": "w0rd-of-mine"}]
        process.configure(host=host, registryAuth=auth)
        registry.asked.clear()
        fetched = plugin.create("RemoteImage", "app", name=name)
        assert fetched.outputs["repoDigest"] == made.outputs["repoDigest"]
        assert any("/blobs/" in each for each in registry.asked)
        registry.asked.clear()
        plugin.create("RemoteImage", "again", name=name, keepLocally=True)
        assert registry.asked == []
        with pytest.raises(PluginError, match=r"manifest unknown|not found"):
            plugin.create("RemoteImage", "not", name=f"{registry.address}/{unique}:2", keep=False)
        process.configure(host=host, registryAuth=[auth[0] | {"password": "wrong-of-mine"}])
        with pytest.raises(PluginError, match="check the user and password for that registry") as caught:
            plugin.create("RemoteImage", "not", name=f"{registry.address}/{unique}:3", keep=False)
        assert "wrong-of-mine" not in str(caught.value)


def test_a_name_that_is_none(plugin: Plugin) -> None:
    with pytest.raises(PluginError, match=r"cannot look for image 'http://x/y': .*: invalid reference format"):
        plugin.create("RemoteImage", "app", name="http://x/y", keep=False)
    with pytest.raises(PluginError, match=r"cannot look for image 'a b': .*: invalid reference format"):
        plugin.create("RemoteImage", "app", name="a b", keep=False)


def test_a_registry_that_is_not_there(plugin: Plugin, unique: str) -> None:
    with little_registry() as registry:
        address = registry.address
    with pytest.raises(PluginError, match="connection refused") as caught:
        plugin.create("RemoteImage", "app", name=f"{address}/{unique}:1", keep=False)
    assert "\n" not in str(caught.value)


def test_an_image_in_use_is_not_removed(plugin: Plugin, engine: Any, image: str, unique: str) -> None:
    tag = f"tenantry-test/{unique}:1"
    engine.api.import_image_from_data(
        Path("/bin/busybox").read_bytes()[:0] or b"\0" * 1024, repository=f"tenantry-test/{unique}", tag="1"
    )
    made = plugin.create("RemoteImage", "app", name=tag)
    using = engine.api.create_container(tag, command=["x"])["Id"]
    with pytest.raises(PluginError, match="keepLocally leaves the image where it is"):
        plugin.delete(made)
    engine.api.remove_container(using)
