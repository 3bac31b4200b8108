"""A creation whose answer is lost may have been done: it is kept track of, and nobody else's is taken for it.

No server is needed.
"""

import threading

import pytest

from providers.kubernetes import lifecycle, service
from providers.kubernetes.errors import NotYetError
from providers.plugin.errors import ConflictError, UnreachableError
from providers.plugin.service import Before, PartialError
from providers.plugin.wire import Bag
from tests.kubernetes.answers import PATH, Answers, Provider

THEIRS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "theirs"}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_KUBERNETES_PATIENCE", "0.3")


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def provider(answers: Answers) -> Provider:
    return Provider(answers)


def unanswered(provider: Provider, answers: Answers) -> Before:
    """A resource as the engine keeps it after a creation without an answer; the server is back since."""
    answers.lost = True
    with pytest.raises(PartialError, match=r"no answer.*may have been done all the same") as caught:
        provider.create(provider.ask(), provider.inputs())
    assert caught.value.object_id == "shop/settings"
    answers.lost = answers.away = False
    return Before(inputs=caught.value.inputs, outputs=caught.value.outputs)


def test_it_is_removed(provider: Provider, answers: Answers) -> None:
    before = unanswered(provider, answers)
    assert PATH in answers.objects
    provider.delete(provider.ask("shop/settings"), before)
    assert not answers.objects


def test_it_is_gone_on_with(provider: Provider, answers: Answers) -> None:
    before = unanswered(provider, answers)
    outputs = provider.update(provider.ask("shop/settings"), before, provider.inputs(data={"a": "c"}), [])
    assert outputs.values["data"] == {"a": "c"}
    assert outputs.values["metadata"]["uid"] == "1"


def test_where_it_never_came_there_is_nothing_to_remove(provider: Provider, answers: Answers) -> None:
    before = unanswered(provider, answers)
    answers.objects.clear()
    provider.delete(provider.ask("shop/settings"), before)
    assert provider.read(provider.ask("shop/settings"), before) is None


def test_what_somebody_else_made_in_its_place_is_left_alone(provider: Provider, answers: Answers) -> None:
    before = unanswered(provider, answers)
    answers.objects.clear()
    theirs = answers.put(PATH, THEIRS, "kubectl")
    with pytest.raises(ConflictError, match="this resource did not make it"):
        provider.update(provider.ask("shop/settings"), before, provider.inputs(), [])
    assert provider.read(provider.ask("shop/settings"), before) is None
    provider.delete(provider.ask("shop/settings"), before)
    assert answers.objects == {PATH: theirs}
    assert "another object has its name now" in provider.heard.warnings[-1]


def test_a_creation_that_is_cancelled_while_it_is_tried_again(
    provider: Provider, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANTRY_KUBERNETES_PATIENCE", "60")
    provider = Provider(answers)
    inputs = provider.inputs()
    answers.lost = True
    timer = threading.Timer(0.5, provider.cancel)
    timer.start()
    with pytest.raises(PartialError, match="cancelled"):
        provider.create(provider.ask(), inputs)
    timer.join()


def test_a_server_that_was_away_before_is_a_failure_that_left_nothing(provider: Provider, answers: Answers) -> None:
    inputs = provider.inputs()
    answers.away = True
    with pytest.raises(UnreachableError):
        provider.create(provider.ask(), inputs)


def test_a_change_of_what_is_being_deleted_is_made_once_it_is_gone(provider: Provider, answers: Answers) -> None:
    object_id, outputs = provider.create(provider.ask(), provider.inputs())
    answers.objects[PATH]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    timer = threading.Timer(0.3, answers.objects.clear)
    timer.start()
    before = Before(inputs=provider.inputs(), outputs=outputs)
    found = provider.update(provider.ask(object_id), before, provider.inputs(data={"a": "c"}), [])
    timer.join()
    assert answers.objects[PATH]["data"] == {"a": "c"}
    assert found.values["metadata"]["uid"] == "2"


def test_what_is_ignored_is_made_anew_with_the_rest(provider: Provider, answers: Answers) -> None:
    object_id, outputs = provider.create(provider.ask(), provider.inputs())
    answers.objects.clear()
    news = provider.inputs(metadata={"name": "settings", "labels": {"x": "y"}})
    provider.update(provider.ask(object_id), Before(inputs=provider.inputs(), outputs=outputs), news, ["data"])
    assert answers.objects[PATH]["data"] == {"a": "b"}


def test_what_a_killed_run_left_in_another_group_is_another_object(provider: Provider) -> None:
    names = [
        service._names(service.Type(api_version=each, kind="Widget"), "shop/a", Bag(values={"metadata": {"uid": uid}}))
        for each, uid in (("a.example/v1", "1"), ("b.example/v1", "2"), ("b.example/v2", "3"), ("c.example/v1", "2"))
    ]
    assert not names[0] & names[1]
    assert names[1] & names[2]
    assert names[1] & names[3]


def test_what_is_waited_for_first_is_waited_for_by_the_clock(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_PREREQUISITE_SECONDS", 0.5)
    monkeypatch.setattr(lifecycle, "_LOOK_SECONDS", 0.01)
    tries: list[None] = []

    def slow() -> None:
        tries.append(None)
        threading.Event().wait(0.2)
        raise NotYetError("there is no namespace", status=404)

    with pytest.raises(NotYetError):
        lifecycle.once_possible(provider._connectable(), slow)
    assert len(tries) <= 4


def test_a_warning_of_the_servers_quotes_no_secret(provider: Provider, answers: Answers) -> None:
    answers.warning = "a weak password: hunter2-of-the-tenant"
    plain = provider.inputs(data={"word": "hunter2-of-the-tenant"})
    provider.create(provider.ask(), Bag(values=plain.values, secret=frozenset({"data"})))
    assert provider.heard.warnings == ["a weak password: [secret]"]


def test_what_is_waited_for_quotes_no_secret_of_the_programs(provider: Provider, answers: Answers) -> None:
    wish = "jsonpath={.data.word}=never"
    values = {
        "metadata": {"name": "settings", "annotations": {"pulumi.com/waitFor": wish, "pulumi.com/timeoutSeconds": "1"}},
        "data": {"word": "hunter2-of-the-tenant"},
    }
    plain = provider.inputs(**values)
    with pytest.raises(PartialError, match=r"to be 'never': it is '\[secret\]'") as caught:
        provider.create(provider.ask(), Bag(values=plain.values, secret=frozenset({"data"})))
    assert "hunter2" not in str(caught.value)
