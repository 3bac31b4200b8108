"""What every authorization server is held to: the embedded one, one with nothing but the RFCs, and a real Keycloak."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.errors import ProviderError, RefusedError
from providers.oauth.resource import OAuthClientProvider
from tests.oauth.places import Place, Props, alive, full_name, token

CLIENT = OAuthClientProvider()
Clock = Callable[[float], None]


def created(props: Props) -> Props:
    outs = CLIENT.create(props).outs
    assert outs is not None
    return outs


def updated(olds: Props, news: Props) -> Props:
    outs = CLIENT.update("x", olds, news).outs
    assert outs is not None
    return outs


def changes(olds: Props, news: Props) -> bool:
    return bool(CLIENT.diff("x", olds, news).changes)


def test_a_token_works_until_the_client_is_deleted_and_not_after(place: Place, props: Props) -> None:
    outs = created(props)
    assert place.named(full_name(props)) == [outs["client_id"]]
    kept = token(outs, scopes=["documents"])
    assert place.introspect(kept) is True
    assert changes(outs, props) is False
    assert CLIENT.read("x", outs).outs == outs

    CLIENT.delete("x", outs)
    assert place.named(full_name(props)) == []
    assert place.introspect(kept) is False
    with pytest.raises(RefusedError, match=r"answered 40[01] ") as caught:
        token(outs)
    assert outs["client_secret"] not in str(caught.value)
    assert CLIENT.read("x", outs).id == ""
    CLIENT.delete("x", outs)


def test_scopes_are_changed_in_place(place: Place, props: Props) -> None:
    outs = created(props)
    news = props | {"scopes": ["documents", "workflows"]}
    assert changes(outs, news) is True
    wider = updated(outs, news)
    assert (wider["client_id"], wider["client_secret"]) == (outs["client_id"], outs["client_secret"])
    assert token(wider, scopes=["workflows"])
    assert CLIENT.read("x", wider).outs == wider
    assert changes(wider, news) is False
    narrow = updated(wider, props)
    with pytest.raises(RefusedError, match="scope"):
        token(narrow, scopes=["workflows"])


def test_scopes_are_all_taken_away(place: Place, props: Props) -> None:
    outs = created(props)
    none = props | {"scopes": []}
    assert changes(outs, none) is True
    bare = updated(outs, none)
    assert (bare["client_id"], bare["scopes"], bare["as_registered"]) == (outs["client_id"], [], True)
    with pytest.raises(RefusedError, match="scope"):
        token(bare, scopes=["documents"])
    assert token(bare)
    assert changes(bare, none) is False
    assert CLIENT.read("x", bare).outs == bare


def test_two_tenants_with_one_name_have_a_client_each(place: Place, props: Props) -> None:
    others = props | {"tenant_mark": f"{props['tenant_mark']}x"}
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(created, (props, others))
    assert one["client_id"] != two["client_id"]
    CLIENT.delete("x", one)
    assert alive(two)
    assert place.named(full_name(others)) == [two["client_id"]]


def test_drift_is_read_and_put_right(place: Place, props: Props) -> None:
    outs = created(props)
    place.meddle(outs["client_id"], name="Somebody else's", scope="workflows")
    read = CLIENT.read("x", outs).outs or {}
    assert (read["scopes"], read["as_registered"]) == (["workflows"], False)
    assert changes(read, props) is True
    assert CLIENT.diff("x", read, props).replaces == []
    repaired = updated(read, props)
    assert place.named(full_name(props)) == [outs["client_id"]]
    assert changes(repaired, props) is False
    assert CLIENT.read("x", repaired).outs == repaired


def test_a_client_that_is_gone(place: Place, props: Props) -> None:
    outs = created(props)
    place.forget(outs["client_id"])
    assert (CLIENT.read("x", outs).id, CLIENT.read("x", outs).outs) == ("", {})
    with pytest.raises(ProviderError, match=r"is gone from .*Run refresh, then up"):
        updated(outs, props | {"scopes": ["workflows"]})
    CLIENT.delete("x", outs)


def test_a_scope_that_the_server_does_not_have_is_refused_and_leaves_nothing(place: Place, props: Props) -> None:
    with pytest.raises(ProviderError, match=r"OAuth client 'Billing .*scope") as caught:
        created(props | {"scopes": ["documents", "nobody-has-this"]})
    assert "\n" not in str(caught.value)
    assert place.named(full_name(props)) == []


class TestRotation:
    def test_old_and_new_work_until_the_grace_is_over(self, place: Place, props: Props, clock: Clock) -> None:
        old = created(props)
        news = props | {"rotation": 1, "grace_seconds": 3600}
        assert changes(old, news) is True
        new = updated(old, news)
        assert new["client_secret"] != old["client_secret"]
        assert alive(old)
        assert alive(new)
        assert changes(new, news) is False
        assert CLIENT.read("x", new).outs == new

        clock(3601)
        assert changes(new, news) is True
        after = updated(new, news)
        assert after["retired"] == []
        assert not alive(old)
        assert alive(after)
        assert changes(after, news) is False
        assert place.named(full_name(props)) == [after["client_id"]]

    def test_without_grace_the_old_one_ends_at_once(self, place: Place, props: Props) -> None:
        old = created(props)
        kept = token(old)
        new = updated(old, props | {"rotation": 1})
        assert not alive(old)
        assert place.introspect(kept) is False
        assert alive(new)
        assert new["retired"] == []
        assert place.named(full_name(props)) == [new["client_id"]]

    def test_deleting_within_the_grace_deletes_both(self, place: Place, props: Props) -> None:
        old = created(props)
        new = updated(old, props | {"rotation": 1, "grace_seconds": 3600})
        newest = updated(new, props | {"rotation": 2, "grace_seconds": 3600})
        assert [alive(each) for each in (old, new, newest)] == [True, True, True]
        CLIENT.delete("x", newest)
        assert [alive(each) for each in (old, new, newest)] == [False, False, False]
        assert place.named(full_name(props)) == []

    def test_a_rollback_of_a_rotation_is_another_one(self, place: Place, props: Props) -> None:
        old = created(props)
        new = updated(old, props | {"rotation": 1, "grace_seconds": 3600})
        back = updated(new, props | {"grace_seconds": 3600})
        assert alive(back)
        assert back["client_id"] not in {old["client_id"], new["client_id"]}


class TestKilled:
    """The server has done it, and no state knows."""

    def test_a_registration_that_no_state_knows_is_adopted(self, finding: Place, props: Props) -> None:
        lost = created(props)
        again = created(props | {"scopes": ["documents", "workflows"]})
        assert (again["client_id"], again["client_secret"]) == (lost["client_id"], lost["client_secret"])
        assert finding.named(full_name(props)) == [again["client_id"]]
        assert token(again, scopes=["workflows"])
        assert CLIENT.read("x", again).outs == again

    def test_a_rotation_that_no_state_knows_is_carried_on(self, finding: Place, props: Props) -> None:
        old = created(props)
        news = props | {"rotation": 1, "grace_seconds": 3600}
        lost = updated(old, news)
        again = updated(old, news)
        assert again["client_id"] == lost["client_id"]
        assert again["client_secret"] == lost["client_secret"]
        assert sorted(finding.named(full_name(props))) == sorted([old["client_id"], again["client_id"]])
        assert alive(old)
        assert alive(again)

    def test_a_change_that_no_state_knows_has_taken_the_token(self, finding: Place, props: Props) -> None:
        outs = created(props)
        news = props | {"scopes": ["workflows"]}
        updated(outs, news)
        again = updated(outs, news)
        assert changes(again, news) is False
        assert CLIENT.read("x", again).outs == again
        CLIENT.delete("x", outs)
        assert finding.named(full_name(props)) == []

    def test_several_that_are_left_become_one(self, finding: Place, props: Props) -> None:
        old = created(props)
        updated(old, props | {"rotation": 1, "grace_seconds": 3600})
        only = created(props)
        assert finding.named(full_name(props)) == [only["client_id"]]
        assert alive(only)

    def test_a_token_that_is_lost_is_found_again(self, finding: Place, props: Props) -> None:
        outs = created(props)
        finding.lose_token(outs["client_id"])
        read = CLIENT.read("x", outs).outs or {}
        assert read["registration_access_token"] == ""
        assert changes(read, props) is True
        repaired = updated(read, props)
        assert changes(repaired, props) is False
        assert repaired["client_secret"] == outs["client_secret"]
        finding.lose_token(outs["client_id"])
        CLIENT.delete("x", repaired)
        assert finding.named(full_name(props)) == []


def test_where_nobody_can_be_asked_a_lost_token_is_said(silent: Place, props: Props) -> None:
    outs = created(props)
    silent.lose_token(outs["client_id"])
    assert CLIENT.read("x", outs).outs == outs
    for act in (lambda: CLIENT.delete("x", outs), lambda: updated(outs, props | {"scopes": ["workflows"]})):
        with pytest.raises(
            ProviderError, match=r"no longer takes the registration access token.*Delete it there"
        ) as no:
            act()
        assert outs["client_id"] in str(no.value)
    silent.forget(outs["client_id"])
    CLIENT.delete("x", outs)
    assert CLIENT.read("x", outs).id == ""


class TestKeycloaksOwnRotation:
    """Its own exchange of the secret: the client_id stays."""

    def test_as_much_grace_as_the_realm_has(self, own_rotation: Place, props: Props, clock: Clock) -> None:
        old = created(props)
        news = props | {"rotation": 1, "grace_seconds": 3600}
        if "rotating" not in old["issuer"]:
            with pytest.raises(ProviderError, match=r"keeps no old secret for 3600 s.*successor, or the grace to 0"):
                updated(old, news)
            assert alive(old)
            news = props | {"rotation": 1}
        else:
            assert old["secret_expires_at"] > 0
            new = updated(old, news)
            assert new["client_id"] == old["client_id"]
            assert alive(old)
            assert alive(new)
            # Cut off before the state was written: carried on, or what consumers have would end.
            assert updated(old, news)["client_secret"] == new["client_secret"]
            assert alive(old)
            clock(3601)
            assert changes(new, news) is True
            assert updated(new, news)["retired"] == []
            assert not alive(old)
            assert alive(new)
            old, news = new, props | {"rotation": 2}
        last = updated(old, news)
        assert not alive(old)
        assert alive(last)
        assert last["client_id"] == old["client_id"]
        assert own_rotation.named(full_name(props)) == [last["client_id"]]
        CLIENT.delete("x", last)
        assert not alive(last)
