"""What the settings make: it agrees with what workers, metrics, the adapter's rule and the documentation say."""

import re
import tomllib
from typing import Any

import promql_parser
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from automation.jobs import gauges
from automation.settings import Settings
from automation.worker import service as worker_service
from automation.worker.settings import WorkerSettings
from service.settings import ServiceSettings
from stacks.installation import pods, scaling, variables
from stacks.installation.names import Document
from stacks.installation.objects import documents, key
from stacks.installation.program import delete_seconds
from stacks.installation.rendering import rendered
from stacks.installation.settings import Platform
from tests.automation.helpers import ROOT
from tests.platform.conftest import settings


def _one(platform: Platform, kind: str, name: str) -> Document:
    (found,) = [each for each in documents(platform) if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def _pod(platform: Platform, name: str) -> Document:
    pod: Document = _one(platform, "Deployment", name)["spec"]["template"]["spec"]
    return pod


EVERY = {
    "ingress": {"host": "tenantry.example.com", "class": "nginx", "tls": {"issuer": "letsencrypt"}},
    "secrets": {"rabbitmq": "queue", "regions": "regions", "metrics": "metrics", "image": "pull"},
    "tokens": {"issuer": "https://login.example"},
    "workers": {"autoscaling": "keda", "prometheus": "http://prometheus:9090"},
}


def test_what_is_rendered_reads_back_as_the_same() -> None:
    platform = settings(**EVERY)
    assert tuple(yaml.safe_load_all(rendered(documents(platform)))) == documents(platform)


def test_no_two_objects_have_the_same_key() -> None:
    keys = [key(each) for each in documents(settings(**EVERY))]
    assert len(keys) == len(set(keys))


def test_a_worker_is_given_the_time_that_it_takes_to_end() -> None:
    """`Worker._drain` and `_say_goodbye`: a heartbeat, the drain, five times the grace, twice the last, a goodbye."""
    platform = settings(workers={"drainSeconds": 100, "cancelGraceSeconds": 7})
    last = worker_service._LAST_SECONDS
    most = last + 100 + 5 * 7 + 2 * last + last
    assert most < pods.worker_grace(platform) < most + 30
    plain = variables.plain(platform)
    own = WorkerSettings.model_validate(plain)
    assert (own.drain, own.probe_port) == (100, 8001)
    assert Settings.model_validate(plain).cancel_grace == 7


def test_what_goes_is_waited_for_as_long_as_its_pods_may_take_to_end() -> None:
    for drain in (1, 3600, 86_400):
        platform = settings(workers={"drainSeconds": drain})
        assert delete_seconds(platform) > pods.worker_grace(platform) > drain
    assert delete_seconds(settings(service={"shutdownSeconds": 3600}, workers={"drainSeconds": 1})) > 3600


@pytest.mark.parametrize("name", ["tenantry", "tenantry-worker"])
def test_a_worker_is_not_the_first_process_of_its_pod(name: str) -> None:
    """What outlives a killed attempt goes to the first process, and the worker waits for its own children only."""
    assert _pod(settings(), name)["shareProcessNamespace"] is True


def test_the_metric_is_one_that_there_is_and_the_adapter_hands_it_on() -> None:
    nothing: gauges.Values = []
    families = gauges.Gauges(
        **dict.fromkeys(("jobs", "oldest_pending", "tenants", "workers", "slots", "webhooks"), nothing),
        expired_leases=0,
        deliveries_pending=0,
        deliveries_oldest=0.0,
    ).families()
    assert scaling.METRIC in {name for name, *_ in families}
    (rule,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "adapter.yml").read_text())["externalRules"]
    assert f'__name__="{scaling.METRIC}"' in rule["seriesQuery"]
    promql_parser.parse(rule["seriesQuery"])
    query = rule["metricsQuery"].replace("<<.Series>>", scaling.METRIC).replace("<<.LabelMatchers>>", 'namespace="a"')
    promql_parser.parse(query)
    hpa = _one(settings(), "HorizontalPodAutoscaler", "tenantry-worker")
    assert hpa["spec"]["metrics"][0]["external"]["metric"]["name"] == scaling.METRIC


def test_keda_asks_for_the_same_figure() -> None:
    found = _one(settings(**EVERY), "ScaledObject", "tenantry-worker")["spec"]
    (trigger,) = found["triggers"]
    promql_parser.parse(trigger["metadata"]["query"])
    assert scaling.METRIC in trigger["metadata"]["query"]
    assert (found["minReplicaCount"], found["maxReplicaCount"]) == (2, 10)
    # KEDA's CheckFallbackValid refuses the whole object where both are there.
    assert trigger["metricType"] == "Value"
    assert "fallback" not in found


@pytest.mark.parametrize("how", ["hpa", "keda", "none"])
def test_only_one_says_how_many_workers_there_are(how: str) -> None:
    platform = settings(workers={"autoscaling": how, "prometheus": "http://prometheus:9090", "min": 3})
    spec = _one(platform, "Deployment", "tenantry-worker")["spec"]
    assert ("replicas" in spec) == (how == "none")
    assert sum(each["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"} for each in documents(platform)) == (
        how != "none"
    )


def test_each_process_gets_the_secrets_that_it_needs_and_no_other() -> None:
    platform = settings(**EVERY)

    def secrets(container: dict[str, Any]) -> set[str]:
        named = {variable["valueFrom"]["secretKeyRef"]["name"] for variable in container["env"]}
        return named | {each["secretRef"]["name"] for each in container["envFrom"] if "secretRef" in each}

    service, worker = _pod(platform, "tenantry"), _pod(platform, "tenantry-worker")
    shared = {"tenantry-database", "tenantry-state", "queue", "regions"}
    assert secrets(worker["containers"][0]) == shared
    assert secrets(service["containers"][0]) == shared | {"tenantry-tokens", "metrics"}
    assert secrets(service["initContainers"][0]) == secrets(worker["initContainers"][0]) == {"tenantry-database"}
    assert service["imagePullSecrets"] == [{"name": "pull"}]


def test_with_an_identity_provider_there_is_no_key_of_our_own() -> None:
    platform = settings(tokens={"jwksUrl": "https://login.example/keys"})
    names = {variable["name"] for variable in _pod(platform, "tenantry")["containers"][0]["env"]}
    assert "TENANTRY_JWT_SECRET" not in names
    assert variables.plain(platform)["TENANTRY_JWT_JWKS_URL"] == "https://login.example/keys"


def test_a_token_of_the_clusters_is_where_tenants_are_made_and_nowhere_else() -> None:
    for more, token in (
        ({}, True),
        ({"tenants": {"namespace": "customers"}}, True),
        ({"tenants": {"onThisCluster": False}}, False),
    ):
        platform = settings(**more)
        assert _pod(platform, "tenantry-worker")["automountServiceAccountToken"] is token
        assert _pod(platform, "tenantry")["automountServiceAccountToken"] is False


def test_a_change_of_the_settings_makes_new_pods() -> None:
    before, after = settings(), settings(environment={"TENANTRY_RETRIES": "5"})
    assert variables.fingerprint(before) != variables.fingerprint(after)
    assert variables.settings_map(after)["data"]["TENANTRY_RETRIES"] == "5"


def test_every_plain_variable_is_one_that_somebody_reads() -> None:
    platform = settings(**EVERY, tenants={"namespace": "customers"})
    sources = [
        path.read_text("utf-8")
        for folder in ("automation", "providers", "service", "engine")
        for path in (ROOT / folder).rglob("*.py")
    ]
    from_libpq = {"PGHOST", "PGPORT", "PGSSLMODE", "PGSSLROOTCERT"}
    unread = {name for name in variables.plain(platform) if not any(f'"{name}"' in text for text in sources)}
    assert unread <= from_libpq
    assert ServiceSettings.model_validate(variables.plain(platform)).public_url == "https://tenantry.example.com"


def test_who_may_reach_the_service_are_those_who_are_named() -> None:
    platform = settings(reach={"ingressFrom": ["ingress-nginx"], "metricsFrom": ["monitoring"]})
    (rule,) = _one(platform, "NetworkPolicy", "tenantry")["spec"]["ingress"]
    spaces = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in rule["from"]]
    assert spaces == ["ingress-nginx", "monitoring"]
    assert "ingress" not in _one(platform, "NetworkPolicy", "tenantry-worker")["spec"]


def test_the_images_lock_is_the_lock_without_what_only_developers_need() -> None:
    every, own = _pinned("requirements.lock"), _pinned("deploy/requirements.lock")
    assert own.items() <= every.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["build"]]
    assert {canonicalize_name(Requirement(each).name) for each in needed} <= own.keys()
    assert not {"pytest", "mypy", "ruff", "playwright"} & own.keys()


def _pinned(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9.-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    return dict(found)
