"""The pure parts: configuration, names of images, durations, what is asked of the engine and told of what was seen."""

import inspect
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.docker import config, container_config, images, marks
from providers.docker.config import RegistryAuth, host_of, resolve
from providers.docker.container_facts import facts_of
from providers.docker.container_spec import HOW, SPEC, duration, nanoseconds
from providers.docker.registry import TYPES
from providers.plugin.errors import RefusedError
from providers.plugin.properties import Kind, Property, coerce, diff, same
from providers.plugin.resource import title
from providers.plugin.wire import UNKNOWN, Bag


def test_its_properties_are_the_sdks() -> None:
    """What is served, refused by name included, is exactly what the SDK package offers."""
    import pulumi_docker

    def offered(name: str) -> set[str]:
        arguments = getattr(pulumi_docker, f"{name}Args").__init__
        names = set(inspect.signature(arguments).parameters) - {"__self__"}
        return {re.sub(r"_(\w)", lambda found: found.group(1).upper(), each) for each in names}

    def given_of(props: tuple[Property, ...]) -> set[str]:
        return {prop.name for prop in props if not prop.output}

    singular = {"buildArgs": "BuildArgs", "configs": "Config"}
    for kind in TYPES.values():
        name = title(kind.token)
        assert given_of(kind.spec) == offered(name), kind.token
        for prop in kind.spec:
            if not prop.fields or prop.output or name == "Image":
                continue
            word = prop.name[0].upper() + prop.name[1:]
            one = singular.get(prop.name) or (
                word[:-1] if prop.kind is not Kind.OBJECT and word.endswith("s") else word
            )
            assert given_of(prop.fields) == offered(f"{name}{one}"), f"{name}.{prop.name}"
    build = next(prop for prop in TYPES["docker:index/image:Image"].spec if prop.name == "build")
    assert given_of(build.fields) == offered("DockerBuild")
    assert given_of(config.SPEC) == offered("Provider")
    registry = next(prop for prop in config.SPEC if prop.name == "registryAuth")
    assert given_of(registry.fields) == offered("ProviderRegistryAuth")


def test_where_it_connects() -> None:
    assert resolve({}, {}).host == "unix:///var/run/docker.sock"
    assert resolve({}, {"DOCKER_HOST": "tcp://there:2375"}).host == "tcp://there:2375"
    assert resolve({"host": "tcp://here:1"}, {"DOCKER_HOST": "tcp://there:2375"}).host == "tcp://here:1"
    with pytest.raises(RefusedError, match="cannot connect yet: its host is not known"):
        resolve({"host": UNKNOWN}, {})
    with pytest.raises(RefusedError, match="must begin with one of"):
        resolve({}, {"DOCKER_HOST": "there"})
    with pytest.raises(RefusedError, match="without its key"):
        resolve({"certMaterial": "c"}, {})


def test_its_certificates(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / f"{name}.pem").write_text(f"{name} of mine")
    found = resolve({"certPath": str(tmp_path)}, {})
    assert (found.ca, found.cert, found.key, found.tls) == ("ca of mine", "cert of mine", "key of mine", True)
    assert resolve({}, {"DOCKER_CERT_PATH": str(tmp_path)}).key == "key of mine"
    assert resolve({"caMaterial": "x"}, {"DOCKER_CERT_PATH": str(tmp_path)}).key == ""
    assert "of mine" not in repr(found)
    with pytest.raises(RefusedError, match=r"cannot read .*ca\.pem: No such file"):
        resolve({"certPath": str(tmp_path / "not")}, {})


def test_who_signs_in_where(tmp_path: Path) -> None:
    content = json.dumps({"auths": {"https://r.example": {"auth": "bWU6dzByZA=="}}})
    (tmp_path / "config.json").write_text(content)

    def registries(**auth: Any) -> tuple[RegistryAuth, ...]:
        return resolve({"registryAuth": json.dumps([auth])}, {}).registries

    me = RegistryAuth(address="r.example", username="me", password="w0rd")
    assert registries(address="https://r.example/v2/", username="me", password="w0rd") == (me,)
    assert registries(address="r.example", configFileContent=content) == (me,)
    assert registries(address="r.example", configFile=str(tmp_path / "config.json")) == (me,)
    assert registries(address="r.example", authDisabled=True) == (RegistryAuth(address="r.example"),)
    assert resolve(
        {"registryAuth": [{"address": "r.example"}]}, {"DOCKER_REGISTRY_USER": "me", "DOCKER_REGISTRY_PASS": "w0rd"}
    ).registries == (me,)
    with pytest.raises(RefusedError, match="has no user for it"):
        registries(address="other.example", configFileContent=content)
    with pytest.raises(RefusedError, match="cannot be read") as caught:
        registries(address="r.example", configFileContent="w0rd")
    assert "w0rd" not in str(caught.value)
    assert "w0rd" not in repr(me)


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("nginx", "docker.io"),
        ("me/app:1", "docker.io"),
        ("docker.io/me/app", "docker.io"),
        ("index.docker.io/me/app", "docker.io"),
        ("localhost/app", "localhost"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
        ("r.example/a/b@sha256:00", "r.example"),
    ],
)
def test_the_registry_that_a_name_means(name: str, registry: str) -> None:
    assert images.registry_of(name) == registry
    assert host_of(f"https://{registry}/v1/") == registry


@given(st.integers(0, 10**15))
def test_durations_survive(count: int) -> None:
    assert nanoseconds(duration(count)) == count


def test_durations_as_go_writes_them() -> None:
    assert nanoseconds("1m30s") == nanoseconds("90s") == 90 * 10**9
    assert nanoseconds("1.5s") == 1_500_000_000
    assert nanoseconds("soon") is nanoseconds("5") is nanoseconds("-1s") is None


def test_what_means_the_same() -> None:
    spec = {prop.name: prop for prop in SPEC}
    assert same(
        spec["healthcheck"],
        {"tests": ["CMD"], "interval": "1m30s"},
        {"tests": ["CMD"], "interval": "90s", "retries": 0},
    )
    assert same(spec["capabilities"], {"adds": ["CAP_NET_ADMIN"], "drops": []}, {"adds": ["net_admin"]})
    assert same(spec["networkMode"], "default", "bridge")
    assert same(spec["cpus"], "0.5", "0.50")
    ports = [{"internal": 1, "external": 9, "protocol": "tcp"}, {"internal": 2, "external": 8}]
    assert same(spec["ports"], ports, [{"internal": 2}, {"internal": 1}])
    assert not same(spec["ports"], ports, [{"internal": 2, "external": 7}, {"internal": 1}])
    assert not same(spec["ports"], ports, [{"internal": 2}])
    assert same(
        spec["mounts"], [{"target": "/a", "type": "tmpfs", "readOnly": False}], [{"target": "/a", "type": "tmpfs"}]
    )
    assert not same(spec["hosts"], [{"host": "a", "ip": "1"}], [{"host": "a", "ip": "2"}])


def test_maps_and_objects_are_taken_apart() -> None:
    prop = Property(
        name="p", kind=Kind.OBJECT, fields=(Property(name="a", required=True), Property(name="b", default="d"))
    )
    assert coerce(prop, {"a": 1, "__defaults": []}) == ({"a": "1", "b": "d"}, [])
    assert [each.property for each in coerce(prop, {"c": 1})[1]] == ["p.c", "p.a"]
    assert [each.reason for each in coerce(prop, [])[1]] == ["property 'p' must be an object"]
    assert coerce(Property(name="m", kind=Kind.MAP), {"a": True, "b": None}) == ({"a": "true"}, [])
    assert coerce(Property(name="m", kind=Kind.MAP), "x")[1]
    assert coerce(prop, UNKNOWN) == (UNKNOWN, [])


def test_what_cannot_be_taken_back_needs_another() -> None:
    olds = Bag(values={"memory": 64, "cpus": "0.5"})
    changes = diff(SPEC, olds, Bag(values={"memory": 0, "cpus": "1"}))
    assert (set(changes.by_name), changes.replaces) == ({"memory", "cpus"}, {"memory"})
    assert diff(SPEC, olds, Bag(values={"cpus": "0.5"})).replaces == {"memory"}


def test_the_marks_tell_nothing() -> None:
    inputs = {"name": "x", "envs": ["KEY=w0rd"], "wait": True, "__defaults": ["wait"]}
    first = marks.digest_of(inputs, "mark one", HOW)
    assert first == marks.digest_of(inputs | {"wait": False}, "mark one", HOW)
    assert first != marks.digest_of(inputs | {"envs": ["KEY=other"]}, "mark one", HOW)
    assert first != marks.digest_of(inputs, "mark two", HOW)
    labels = marks.marked({"labels": [{"label": "a", "value": "b"}]}, "mark one", first)
    assert marks.told(labels | {"of": "image"}, {"of": "image"}) == [{"label": "a", "value": "b"}]


def test_what_is_asked_for() -> None:
    body = container_config.create_body(
        {
            "image": "i",
            "init": False,
            "ports": [{"internal": 53, "external": 5353, "ip": "127.0.0.1", "protocol": "udp"}],
            "volumes": [
                {"volumeName": "v", "containerPath": "/v", "selinuxRelabel": "z"},
                {"hostPath": "/h", "containerPath": "/hh", "readOnly": True},
                {"containerPath": "/own"},
                {"fromContainer": "other", "readOnly": True},
            ],
            "mounts": [
                {"type": "tmpfs", "target": "/t", "tmpfsOptions": {"sizeBytes": 9, "mode": 448}},
                {"type": "bind", "target": "/b", "source": "/s", "bindOptions": {"propagation": "rslave"}},
                {
                    "type": "volume",
                    "target": "/vol",
                    "source": "v2",
                    "volumeOptions": {"noCopy": True, "driverName": "d", "driverOptions": {"a": "b"}},
                },
            ],
            "devices": [{"hostPath": "/dev/null"}],
            "shmSize": 8,
            "memory": 10,
            "memorySwap": -1,
            "cpuPeriod": 1000,
            "cpuQuota": 500,
            "logOpts": {"a": "b"},
        },
        {"l": "1"},
    )
    host = body["HostConfig"]
    assert host["PortBindings"] == {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}]}
    assert (host["Binds"], host["VolumesFrom"], body["Volumes"]) == (
        ["v:/v:rw,z", "/h:/hh:ro"],
        ["other:ro"],
        {"/own": {}},
    )
    assert host["Mounts"][0]["TmpfsOptions"] == {"SizeBytes": 9, "Mode": 448}
    assert host["Mounts"][1]["BindOptions"] == {"Propagation": "rslave"}
    assert host["Mounts"][2]["VolumeOptions"]["DriverConfig"] == {"Name": "d", "Options": {"a": "b"}}
    assert host["Devices"] == [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rwm"}]
    assert (host["Init"], host["ShmSize"], host["Memory"], host["MemorySwap"]) == (False, 8 << 20, 10 << 20, -1)
    assert (host["CpuPeriod"], host["CpuQuota"], host["LogConfig"]) == (1000, 500, {"Type": "", "Config": {"a": "b"}})
    assert container_config.endpoint({"name": "n", "driverOpts": ["a=b=c"]})["driver_opt"] == {"a": "b=c"}


def test_what_was_seen_is_told_as_it_was_asked_for() -> None:
    asked: dict[str, Any] = {
        "volumes": [{"volumeName": "v", "containerPath": "/v", "readOnly": True}, {"containerPath": "/own"}],
        "mounts": [
            {"type": "volume", "target": "/vol", "readOnly": False, "source": "v2", "volumeOptions": {"noCopy": True}}
        ],
        "devices": [{"hostPath": "/dev/null", "containerPath": "/dev/zero", "permissions": "r"}],
        "hosts": [{"host": "six", "ip": "::1"}],
        "envs": ["A=1"],
        "cpus": "0.5",
        "restart": "always",
    }
    body = container_config.create_body(asked | {"image": "i", "name": "n"}, {"l": "1"})
    seen = {
        "Id": "0123456789abcdef",
        "Name": "/n",
        "Image": "sha256:1",
        "Config": body,
        "HostConfig": body["HostConfig"],
        "NetworkSettings": {},
        "State": {"Status": "created"},
    }
    facts = facts_of(seen, {"Id": "sha256:1", "Config": {"Env": ["PATH=/"]}}, {})
    for name, value in asked.items():
        assert facts[name] == value, name
    assert (facts["image"], facts["mustRun"]) == ("i", False)


def test_one_file_to_upload() -> None:
    def only(item: dict[str, Any]) -> tuple[tarfile.TarInfo, bytes]:
        with tarfile.open(fileobj=io.BytesIO(container_config.upload_archive(item))) as archive:
            info = archive.getmembers()[0]
            file = archive.extractfile(info)
            assert file is not None
            return info, file.read()

    info, content = only({"file": "/etc/x", "content": "é", "owner": "7", "group": "8"})
    assert (info.mode, info.uid, info.gid, content) == (0o644, 7, 8, "é".encode())
    assert only({"file": "/x", "contentBase64": "AAE=", "executable": True})[0].mode == 0o744
    assert only({"file": "/x", "content": "", "permissions": "0400"})[0].mode == 0o400
    with pytest.raises(RefusedError, match="cannot upload /x: /no/such cannot be read: No such file"):
        container_config.upload_archive({"file": "/x", "source": "/no/such"})


def test_what_is_wrong_is_said_and_what_is_not_known_yet_is_not() -> None:
    def wrong(**inputs: Any) -> set[str]:
        return {each.property for each in container_config.validate(inputs)}

    assert wrong(maxRetryCount=3, restart="no") == {"maxRetryCount"}
    assert wrong(logs=True, attach=False) == {"logs"}
    assert wrong(rm=True, restart="always") == {"rm"}
    assert wrong(wait=True, start=False) == {"wait"}
    assert wrong(command=["", "a"]) == {"command[0]"}
    assert wrong(volumes=[{}, {"containerPath": "/a", "hostPath": "/b", "volumeName": "c"}]) == {
        "volumes[0]",
        "volumes[1]",
    }
    uploads = [
        {"file": "/x", "owner": "root"},
        {"file": "/x", "permissions": "rw"},
        {"file": "/x", "contentBase64": "!"},
    ]
    assert wrong(uploads=uploads) == {"uploads[0].owner", "uploads[1].permissions", "uploads[2].contentBase64"}
    assert not wrong(volumes=[{"volumeName": UNKNOWN}], envs=[UNKNOWN], command=UNKNOWN, cpus=UNKNOWN, uploads=UNKNOWN)
