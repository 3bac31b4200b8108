"""Secrets from variables: how they are read, and that no error of a file or of a request shows one."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pulumi
import pytest

from components.workflow_plans import CredentialPlan, _credential
from providers import http
from providers.backends import backends_of, secret
from providers.errors import ConfigurationError
from providers.http import Api
from providers.masking import masked
from tests.oauth.fake import faking

if TYPE_CHECKING:
    from components.tenant_schema import TenantSchema

NAME = "TENANTRY_BACKEND_TEST"


@pytest.mark.parametrize("given", ["key-hunter2", "key-hunter2\n", " key-hunter2\t", "key-hunter2\r\n"])
def test_a_secret_is_without_the_blanks_around_it(given: str) -> None:
    assert secret(NAME, {NAME: given}) == "key-hunter2"


@pytest.mark.parametrize("given", ["", " ", "\n"])
def test_a_secret_of_nothing_is_not_set(given: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the variable {NAME} is not set, but TENANTRY_BACKENDS names it"):
        secret(NAME, {NAME: given})


@pytest.mark.parametrize(
    "given", ["key\nhunter2", "key\thunter2", "key\x00hunter2", "key\x7fhunter2", "key\udcffhunter2"]
)
def test_a_secret_with_a_control_character_inside_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{NAME} holds a control character.*in one line") as caught:
        secret(NAME, {NAME: given})
    assert "hunter2" not in str(caught.value)


def test_a_secret_of_several_lines_stays_as_it_is() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
    assert secret(NAME, {NAME: key}, lines=True) == key
    assert secret(NAME, {NAME: "hunter2\n"}, lines=True) == "hunter2"
    with pytest.raises(ConfigurationError, match="control character"):
        secret(NAME, {NAME: "two\nlines\x1b"}, lines=True)


async def test_a_workflows_private_key_keeps_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
    monkeypatch.setenv(NAME, key)
    plan = CredentialPlan(slot="drive", type="googleApi", data={}, secrets={"privateKey": NAME})
    made = _credential(plan, cast("TenantSchema", None), "eu")
    assert await cast("pulumi.Output[str]", made.data["privateKey"]).future() == key


@pytest.mark.parametrize("value", ["n8n-key-hunter2\n", "n8n-key-hunter2 ", "n8n-key-hünter2", "n8n\x00-hunter2"])
def test_a_header_that_cannot_be_sent_is_not_shown(value: str) -> None:
    with faking() as server:
        api = Api(name="n8n", base_url=server.issuer, headers={"X-N8N-API-KEY": value}, secrets=(value,))
        with pytest.raises(
            ConfigurationError, match=r"^tag 'x': a request to n8n cannot be sent: .* Check the"
        ) as caught:
            api.call("GET", "/", what="tag 'x'")
        http._client(True).close()
        http._made_client.cache_clear()
    assert "nter2" not in str(caught.value)
    assert server.requests == []


def test_what_is_shown_of_a_secret_is_masked_in_each_form() -> None:
    value = 'p"ss\nhunter2 '
    for text in (value, value.strip(), repr(value), repr(value.encode()), '{"p": "p\\"ss\\nhunter2"}'):
        assert "hunter2" not in masked(f"before {text} after", (value,))
    assert masked("nothing of it", (value, "")) == "nothing of it"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("regions:\n  eu:\n    password: [hunter2: }\n", ": line 3, column"),
        ("regions:\n  key: !hunter2 x\n", ": line 2, column 8"),
        ("a: 1\nb: hunter2\x07\n", ": line 2, column 11"),
        ("a: 2024-99-99 \n", ": a value of it is none that YAML has"),
    ],
)
def test_a_file_that_is_no_yaml_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str
) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    with pytest.raises(ConfigurationError, match=f"is no YAML{place}") as caught:
        backends_of("eu")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "backends.yaml"
    path.write_bytes(b"a: \xff")
    monkeypatch.setenv("TENANTRY_BACKENDS", str(path))
    with pytest.raises(ConfigurationError, match="is no YAML: byte 3 is not UTF-8"):
        backends_of("eu")
