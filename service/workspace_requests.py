"""What is sent to ask for a workspace (POS-1), read: a manifest of a point of sale, and who is to run it. Pure.

Decides the words of that request, and how a workspace's slug follows from its name. What a manifest may hold is its own
model's to say, and a password's value is never in a message, nor in anything else that is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, ValidationError

from providers.masking import MASK
from service.api.bodies import Body
from service.auth.accounts import normal
from service.auth.passwords import LONGEST, SHORTEST, wanting
from service.lines.words import RequestError, Words, mapping
from stacks.fields import Email, NameText
from stacks.lines import POS
from stacks.pos.engine import DEFAULT
from stacks.pos.settings import LONGEST_NAME
from stacks.problems import MISSING, FieldProblem, ManifestError, closest, problems_of, shown

STARTING: Mapping[str, str] = {
    "include_demo_data": "includeDemoData",
    "pos_store_enabled": "posStoreEnabled",
    "country_template": "countryTemplate",
}
"""What `POST start` may say, and the manifest's keys for it."""
WORDS = Words(
    kind=POS.kind,
    own={
        "name": "name",
        "category": "category",
        "country_code": "countryCode",
        "engine": "engine",
        "admin_email": "adminEmail",
        "region": "region",
        "provisioning_type": "provisioningType",
        **STARTING,
        "enable_rollback": "enableRollback",
    },
)
_PERSON = ("admin_name", "admin_password")
_LONGEST_SLUG = 36
"""Of a name's own; up to four more characters tell two of one name apart."""
_SHORTEST_SLUG = 3
_CODE = 2
"""Letters of a country's code."""
_LONGEST_EMAIL = 200
"""It is the subject of its owner's tokens, which have no longer ones."""


class AdminBody(Body):
    """Who is to run a workspace."""

    admin_email: Email = Field(description="by which they sign in, or which their identity provider has verified")
    admin_name: NameText = Field(description="what they are called")
    admin_password: str = Field(
        description=f"what they sign in with, {SHORTEST} to {LONGEST} characters; kept as an Argon2id hash, and only "
        "where tokens are signed by the service itself",
        json_schema_extra={"format": "password", "minLength": SHORTEST, "maxLength": LONGEST},
        repr=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request. `manifest` is without its slug, of which `slug` is the beginning."""

    manifest: Mapping[str, Any]
    slug: str
    email: str
    person: str
    password: str = field(repr=False)
    problems: tuple[FieldProblem, ...] = ()

    def asked(self) -> tuple[Any, ...]:
        """What makes it the same request as another: all but the password, of which nothing is kept beside its hash."""
        return ("workspace", dict(self.manifest), self.email, self.person)


def read(body: object) -> Wanted:
    """The request. Its `problems` are the admin's; the manifest's are found when it is checked. Raises RequestError."""
    given = mapping(body)
    known = {key: given[key] for key in ("admin_email", *_PERSON) if key in given}
    admin, problems = _admin(known)
    email = normal(admin.admin_email) if admin is not None else ""
    if len(email) > _LONGEST_EMAIL:
        problems += (FieldProblem(field="admin_email", given=shown(email), valid=f"up to {_LONGEST_EMAIL} characters"),)
    problems += tuple(_unknown(key) for key in given if key not in (*WORDS.own, *_PERSON))
    rest = {key: given[key] for key in WORDS.own if key in given and key != "admin_email"}
    manifest = WORDS.manifest_of({"engine": DEFAULT, "enable_rollback": False, **_tidied(rest)})
    if admin is not None and (wrong := wanting(admin.admin_password, others=(admin.admin_email, admin.admin_name))):
        problems += (FieldProblem(field="admin_password", given=MASK, valid=wrong),)
    return Wanted(
        manifest={**manifest, "adminEmail": email} if email else manifest,
        slug=slug_of(str(given.get("name") or "")),
        email=email,
        person=admin.admin_name if admin is not None else "",
        password=admin.admin_password if admin is not None else "",
        problems=tuple(problems),
    )


def numbered(wanted: Wanted, slug: str) -> dict[str, Any]:
    """The manifest under `slug`: where that has a number, the company has it too.

    In an engine there is one company of a name, and many a shop is called as another one is.
    """
    manifest = {**wanted.manifest, "slug": slug}
    if slug == wanted.slug:
        return manifest
    end = f" ({slug.removeprefix(f'{wanted.slug}-')})"
    name = str(manifest["name"])[: LONGEST_NAME - len(end)].rstrip()
    return {**manifest, "customSettings": {"company": {"name": f"{name}{end}"}}}


def _admin(given: Mapping[str, Any]) -> tuple[AdminBody | None, tuple[FieldProblem, ...]]:
    try:
        return AdminBody.model_validate(given), ()
    except ValidationError as error:
        return None, problems_of(error, AdminBody)


def _tidied(given: Mapping[str, Any]) -> dict[str, Any]:
    """A category and a country as people write them: `Retail`, `Food & drinks`, `ke`. What is null is left out."""
    found = {key: value for key, value in given.items() if value is not None}
    category, country = found.get("category"), found.get("country_code")
    if isinstance(category, str):
        found["category"] = _hyphened(category) or category
    if isinstance(country, str):
        code = country.strip()
        # What is no code is told as it was written.
        found["country_code"] = code.upper() if len(code) == _CODE else country
    return found


def refused(wanted: Wanted, error: ManifestError | None, body: Mapping[str, Any]) -> RequestError | None:
    """All that is wrong with a request, in its own words; None where nothing is."""
    found = list(wanted.problems)
    if error is not None:
        found += [one for one in WORDS.in_own_words(error, body).problems if one.field not in _DERIVED]
    if "category" not in body:
        # A manifest has one of its own where none is given; a workspace is asked for with one.
        found.append(FieldProblem(field="category", given=MISSING, valid="this is required: the type of business"))
    return RequestError("request", _in_order(found)) if found else None


_DERIVED = frozenset({"slug"})
"""What follows from other fields, whose problems are told already."""


def _unknown(key: str) -> FieldProblem:
    """A key that a manifest may have, too: a workspace is asked for in these words only."""
    known = (*WORDS.own, *_PERSON)
    # Not its value: `admin_password` is misspelt in many ways.
    given = "an unknown key"
    return FieldProblem(
        field=key, given=given, valid=f"one of the keys {', '.join(known)}", suggestion=closest(key, known)
    )


def _in_order(problems: list[FieldProblem]) -> list[FieldProblem]:
    order = ("name", "category", "country_code", "engine", "admin_email", *_PERSON)
    return sorted(problems, key=lambda one: order.index(one.field) if one.field in order else len(order))


def slug_of(name: str) -> str:
    """The slug of a workspace of that name: `Zoë's Café` -> `zoe-s-cafe`. One always, whatever letters a name has."""
    text = _hyphened(name)
    if not text[:1].isalpha():
        text = f"shop-{text}".strip("-")
    text = text[:_LONGEST_SLUG].strip("-")
    return text if len(text) >= _SHORTEST_SLUG else f"{text}-shop"


def _hyphened(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def request_schema(manifest: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a request. `manifest` is that of the manifest, where another than its own is meant."""
    found = WORDS.schema(manifest if manifest is not None else POS.schema(), "WorkspaceRequest")
    admin = AdminBody.model_json_schema()
    found["properties"] |= admin["properties"]
    found["properties"]["enable_rollback"]["default"] = False
    found["properties"]["category"].pop("default", None)
    found["required"] = ["name", "category", "country_code", *admin["required"]]
    found["description"] = "A workspace that is wished, and who is to run it"
    return found
