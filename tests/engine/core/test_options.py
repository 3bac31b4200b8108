"""Resource options: protect, retainOnDelete, deletedWith, ignoreChanges, aliases, parents, providers."""

from tests.engine.core.dsl import Stack, create, delete, replace, secret, update
from tests.engine.core.program import Do, Resource, bucket, group, provider, ref
from tests.engine.core.program import reference as resource_reference

PROTECTED = {"protect": True}
RETAINED = {"retainOnDelete": True}


# ------------------------------------------------------------------ protect


def test_what_is_protected_is_not_deleted_but_the_rest_is(stack: Stack) -> None:
    stack.up(bucket("a", opts=PROTECTED), bucket("b", source=ref("a")), bucket("c"), bucket("d", opts=PROTECTED))
    result = stack.destroy().fails("it is protected")
    assert set(result.calls) == {"delete c", "delete b"}
    assert result.messages("error").count("it is protected") == 2
    assert stack.names == ["a", "d"]
    stack.agrees_with_cloud()


def test_what_a_protected_resource_needs_stays(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("kept", source=ref("base"), opts=PROTECTED))
    stack.destroy().fails("it is protected").calling()
    assert stack.names == ["base", "kept"]


def test_protection_is_taken_off_by_the_program(stack: Stack) -> None:
    stack.up(bucket("a", opts=PROTECTED, region="eu"))
    stack.up(bucket("a", opts=PROTECTED, region="us")).fails("marked for protection").calling()
    stack.up(bucket("a", region="us")).succeeds().expect(replace("a"))
    stack.up().succeeds().expect(delete("a"))


def test_children_inherit_protection_and_retention(stack: Stack) -> None:
    stack.up(
        group("g", opts={**PROTECTED, **RETAINED}),
        bucket("inherits", opts={"parent": "g"}),
        bucket("does-not", opts={"parent": "g", "protect": False, "retainOnDelete": False}),
    )
    assert stack.resource("inherits").protect
    assert stack.resource("inherits").retain_on_delete
    assert not stack.resource("does-not").protect
    assert not stack.resource("does-not").retain_on_delete


def test_a_protected_dependent_stops_a_replacement(stack: Stack) -> None:
    stack.up(bucket("a", zone="x"), bucket("b", region=ref("a"), opts=PROTECTED))
    stack.up(bucket("a", zone="y"), bucket("b", region=ref("a"), opts=PROTECTED)).fails(
        f'unable to replace resource "{stack.urn("b")}" as part of replacing "{stack.urn("a")}"', "state unprotect"
    )
    stack.agrees_with_cloud()


def test_destroy_may_leave_out_what_is_protected(stack: Stack) -> None:
    stack.up(bucket("base"), bucket("kept", source=ref("base"), opts=PROTECTED), bucket("gone"))
    stack.destroy(exclude_protected=True).succeeds().expect(delete("gone")).calling("delete gone")
    assert stack.names == ["base", "kept"]


# ------------------------------------------------------------------ deletes without a call


def test_what_is_retained_is_forgotten_not_deleted(stack: Stack) -> None:
    stack.up(bucket("a", opts=RETAINED), bucket("b", opts=RETAINED, region="eu"))
    stack.up(bucket("b", opts=RETAINED, region="us")).succeeds().expect(delete("a"), replace("b")).calling("create b")
    assert stack.names == ["b"]
    assert stack.cloud.count("a") == 1
    assert stack.cloud.count("b") == 2


def test_what_goes_with_something_else_is_not_deleted_on_its_own(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("inside", opts={"deleted_with": "a"}))
    stack.up(bucket("a")).succeeds().calling("delete inside")
    stack.up(bucket("a"), bucket("inside", opts={"deleted_with": "a"}))
    stack.destroy().succeeds().expect(delete("a"), delete("inside")).calling("delete a")


def test_children_inherit_deleted_with(stack: Stack) -> None:
    stack.up(bucket("a"), group("g", opts={"deleted_with": "a"}), bucket("inside", opts={"parent": "g"}))
    assert stack.resource("inside").deleted_with == stack.urn("a")
    stack.destroy().succeeds().calling("delete a")


# ------------------------------------------------------------------ ignoreChanges


def test_ignored_changes_are_not_made(stack: Stack) -> None:
    stack.up(bucket("a", size=1, tags={"x": 1, "y": 1}))
    opts = {"ignoreChanges": ["size", "tags.x"]}
    stack.up(bucket("a", size=2, tags={"x": 2, "y": 1}, opts=opts)).succeeds().expect()
    stack.up(bucket("a", size=2, tags={"x": 2, "y": 2}, opts=opts)).succeeds().expect(update("a"))
    assert stack.cloud.of("a")["size"] == 1
    assert stack.cloud.of("a")["tags"] == {"x": 1, "y": 2}


def test_ignored_changes_of_what_would_replace(stack: Stack) -> None:
    stack.up(bucket("a", region="eu"))
    stack.up(bucket("a", region="us", opts={"ignoreChanges": ["region"]})).succeeds().expect()
    assert stack.resource("a").inputs == {"region": "eu"}


def test_all_changes_ignored(stack: Stack) -> None:
    stack.up(bucket("a", size=1, color="red"))
    stack.up(bucket("a", size=2, opts={"ignoreChanges": ["*"]})).succeeds().expect()
    assert stack.cloud.of("a")["color"] == "red"


# ------------------------------------------------------------------ aliases and parents


def test_a_new_name_with_an_alias_keeps_the_object(stack: Stack) -> None:
    stack.up(bucket("old", size=1), bucket("user", source=ref("old")))
    renamed = bucket("new", size=1, opts={"aliases": [{"name": "old"}]})
    stack.up(renamed, bucket("user", source=ref("new"))).succeeds().expect().valid_after_every_step()
    assert stack.resource("user").dependencies == [stack.urn("new")]
    assert stack.resource("new").id == "old-1"
    stack.up(bucket("new", size=1), bucket("user", source=ref("new"))).does_nothing()


def test_an_alias_by_urn(stack: Stack) -> None:
    stack.up(bucket("old"))
    stack.up(bucket("new", opts={"aliases": [stack.urn("old")]})).succeeds().expect().calling()
    assert stack.names == ["new"]


def test_an_alias_with_a_change(stack: Stack) -> None:
    stack.up(bucket("old", size=1, region="eu"))
    stack.up(bucket("new", size=2, region="eu", opts={"aliases": [{"name": "old"}]})).succeeds().calling("update new")
    stack.up(bucket("newer", size=2, region="us", opts={"aliases": [{"name": "new"}]})).succeeds()
    assert stack.cloud.count("newer") == 1
    stack.agrees_with_cloud()


def test_children_of_a_renamed_parent_are_found(stack: Stack) -> None:
    stack.up(group("g"), bucket("g-child", opts={"parent": "g"}), bucket("other", opts={"parent": "g"}))
    stack.up(
        group("h", opts={"aliases": [{"name": "g"}]}),
        bucket("h-child", opts={"parent": "h"}),
        bucket("other", opts={"parent": "h"}),
    ).succeeds().expect().calling()
    assert stack.resource("h-child").parent == stack.resource("h").urn


def test_moving_into_and_out_of_a_component(stack: Stack) -> None:
    stack.up(group("g"), bucket("a"))
    stack.up(group("g"), bucket("a", opts={"parent": "g", "aliases": [{"noParent": True}]})).succeeds().expect()
    assert stack.resource("a").parent == stack.resource("g").urn
    moved_out = bucket("a", opts={"aliases": [{"parentUrn": stack.resource("g").urn}]})
    stack.up(group("g"), moved_out).succeeds().expect().calling()


def test_two_claimants_of_one_alias(stack: Stack) -> None:
    stack.up(bucket("old"))
    opts = {"aliases": [{"name": "old"}]}
    stack.up(bucket("b", opts=opts), bucket("c", opts=opts)).fails("Duplicate resource alias")
    assert stack.names == ["b"]


def test_a_name_that_an_alias_has_taken(stack: Stack) -> None:
    stack.up(bucket("old"))
    renamed = bucket("b", opts={"aliases": [{"name": "old"}]})
    stack.up(renamed, bucket("old")).fails("conflicting with alias on resource")


def test_an_alias_of_another_type(stack: Stack) -> None:
    stack.up(Resource(name="a", type="fake:index:Pail"))
    stack.up(bucket("a", opts={"aliases": [{"type": "fake:index:Pail"}]})).succeeds().expect(replace("a"))
    stack.agrees_with_cloud()


# ------------------------------------------------------------------ providers


def test_default_providers_are_configured_from_the_stacks_config(stack: Stack) -> None:
    stack.config = {"fake:account": "1", "fake:token": "hunter2", "project:unrelated": "x"}
    stack.secret_keys = frozenset({"fake:token"})
    result = stack.up(bucket("a")).succeeds()
    (configured,) = stack.cloud.configured
    assert configured["account"] == "1"
    assert "hunter2" not in stack.saved
    assert "hunter2" not in str(result.events)
    assert "unrelated" not in configured
    stack.up(bucket("a")).does_nothing()


def test_a_changed_default_provider_is_updated_and_replaces_what_it_must(stack: Stack) -> None:
    stack.config = {"fake:account": "1"}
    stack.up(bucket("a"))
    stack.config = {"fake:account": "1", "fake:retries": "3"}
    stack.up(bucket("a")).succeeds().calling()
    stack.config = {"fake:account": "2"}
    stack.up(bucket("a")).succeeds()
    assert stack.cloud.count("a") == 1
    stack.agrees_with_cloud()


def test_one_default_provider_per_version_and_url(stack: Stack) -> None:
    stack.up(
        bucket("a"),
        bucket("b", opts={"version": "1.2.3-beta+4"}),
        bucket("c", opts={"version": "1.2.3-beta+4", "pluginDownloadURL": "https://example.org/x"}),
    ).succeeds()
    names = {s.name for s in stack.snapshot.resources if s.type == "pulumi:providers:fake"}
    assert names == {"default", "default_1_2_3_beta_4", "default_1_2_3_beta_4_https___example_org_x"}


def test_an_upgraded_sdk_moves_resources_to_another_default_provider(stack: Stack) -> None:
    stack.up(bucket("a", opts={"version": "1.0.0"}))
    stack.up(bucket("a", opts={"version": "1.1.0"})).succeeds().expect().calling()
    assert "default_1_1_0" in stack.resource("a").provider
    assert len([s for s in stack.snapshot.resources if s.type == "pulumi:providers:fake"]) == 1


def test_an_explicit_provider_and_what_is_inherited_from_a_component(stack: Stack) -> None:
    program = (
        provider("p", account="1", token=secret("hunter2")),
        group("g", opts={"providers": "p"}),
        group("inner", opts={"parent": "g"}),
        bucket("a", opts={"parent": "inner"}),
        bucket("b", opts={"provider": "p"}),
    )
    stack.preview(*program).succeeds()
    stack.up(*program).succeeds()
    assert stack.resource("a").provider == stack.resource("b").provider
    assert "hunter2" not in stack.saved
    stack.up(*program).does_nothing()
    stack.refresh().succeeds()
    stack.destroy().succeeds()
    assert not stack.cloud.objects


def test_a_provider_that_is_not_known_yet_in_a_preview(stack: Stack) -> None:
    program = (bucket("a"), provider("p", endpoint=ref("a")), bucket("b", opts={"provider": "p"}, size=1))
    stack.preview(*program).succeeds().expect(create("a"), create("p"), create("b"))
    stack.up(*program).succeeds()
    stack.preview(bucket("a", region="us"), *program[1:]).succeeds()
    stack.up(bucket("a", region="us"), *program[1:]).succeeds()
    stack.agrees_with_cloud()


def test_a_refused_provider_configuration(stack: Stack) -> None:
    stack.up(provider("p", account="forbidden")).fails("the account is closed")


def test_another_provider_of_the_same_package(stack: Stack) -> None:
    stack.up(provider("p", account="1"), provider("q", account="1"), bucket("a", opts={"provider": "p"}))
    same = (provider("p", account="1"), provider("q", account="1"), bucket("a", opts={"provider": "q"}))
    stack.up(*same).succeeds().expect()
    other = (provider("q", account="1"), provider("r", account="2"), bucket("a", opts={"provider": "r"}))
    stack.up(*other).succeeds().expect(create("r"), delete("p"), replace("a"))
    stack.agrees_with_cloud()


def test_a_provider_that_nobody_knows(stack: Stack) -> None:
    stack.up(bucket("a"))
    unknown = "urn:pulumi:test::project::pulumi:providers:fake::none::0"

    def register(run: object) -> None:
        run.urns["x"], run.got["x"] = unknown.rpartition("::")[0], {"id": "0"}  # type: ignore[attr-defined]

    stack.up(Do(register), bucket("a", opts={"provider": "x"})).fails("unknown provider")


# ------------------------------------------------------------------ values


def test_resource_references_are_kept(stack: Stack) -> None:
    stack.up(bucket("a"), bucket("b", other=resource_reference(stack.urn("a"), "a-1"))).succeeds()
    assert stack.resource("b").inputs["other"]["id"] == "a-1"
    stack.up(bucket("a"), bucket("b", other=resource_reference(stack.urn("a"), "a-1"))).does_nothing()
    shown: list[object] = []
    plain = bucket("b", other=resource_reference(stack.urn("a"), "a-1"), opts={"acceptResources": False})
    look = Do(lambda run: shown.append(run.got["b"]["other"]))
    stack.up(bucket("a"), plain, look).succeeds()
    assert shown == ["a-1"]
