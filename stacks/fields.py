"""What a name, an e-mail address, a phone number, a country, a postal code and a region may look like.

Decides validity and the normal form of single values. It never looks at other fields, except a postal code at its
country.
"""

# ruff: noqa: TRY004 - pydantic makes a field's problem of a ValueError only; a TypeError would be a crash

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, Field

SLUG_PATTERN = re.compile(r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$", re.ASCII)

_COUNTRIES = frozenset(
    re.findall(
        "..",
        "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCX"
        "CYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIR"
        "ISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNE"
        "NFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTF"
        "TGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW",
    )
)

# Country: (pattern, how it is written). From the Universal Postal Union's addressing systems.
_POSTAL: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("CH", "LI", "AT", "BE", "DK", "NO", "LU", "HU", "SI", "AU", "NZ", "ZA", "BG", "CY"), (r"\d{4}", "4 digits")
    ),
    **dict.fromkeys(
        (
            "DE",
            "FR",
            "IT",
            "ES",
            "FI",
            "EE",
            "HR",
            "TR",
            "MX",
            "MC",
            "SM",
            "UA",
            "TH",
            "MY",
            "ID",
            "EG",
            "MA",
            "KE",
            "RS",
        ),
        (r"\d{5}", "5 digits"),
    ),
    **dict.fromkeys(("RO", "SG", "CN", "RU", "CO", "VN"), (r"\d{6}", "6 digits")),
    **dict.fromkeys(("CZ", "SK", "SE", "GR"), (r"\d{3} ?\d{2}", "5 digits, such as 110 00")),
    "IN": (r"[1-9]\d{2} ?\d{3}", "6 digits, such as 110001"),
    "PL": (r"\d{2}-\d{3}", "the form 00-950"),
    "PT": (r"\d{4}-\d{3}", "the form 1000-205"),
    "BR": (r"\d{5}-?\d{3}", "the form 01310-100"),
    "JP": (r"\d{3}-?\d{4}", "the form 100-0001"),
    "KR": (r"\d{5}", "5 digits"),
    "IL": (r"\d{5}(?:\d{2})?", "5 or 7 digits"),
    "NL": (r"[1-9]\d{3} ?[A-Z]{2}", "the form 1012 AB"),
    "US": (r"\d{5}(?:-\d{4})?", "the form 94103 or 94103-1234"),
    "CA": (r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d", "the form K1A 0B1"),
    "GB": (r"(?:GIR ?0AA|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})", "the form SW1A 1AA"),
    "IE": (r"(?:[AC-FHKNPRTV-Y]\d{2}|D6W) ?[0-9AC-FHKNPRTV-Y]{4}", "the form D02 AF30"),
    "LT": (r"(?:LT-)?\d{5}", "the form LT-01103"),
    "LV": (r"(?:LV-)?\d{4}", "the form LV-1010"),
    "MT": (r"[A-Z]{3} ?\d{4}", "the form VLT 1117"),
    "AR": (r"(?:[A-Z]\d{4}[A-Z]{3}|\d{4})", "the form C1425CLA or 1425"),
    "CL": (r"\d{3}-?\d{4}", "7 digits"),
}
_POSTAL_GENERIC = (r"[A-Z0-9](?:[A-Z0-9 -]{0,10}[A-Z0-9])?", "1 to 12 letters, digits, spaces and hyphens")

_LOCAL = re.compile(r"^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$")
_LABEL = re.compile(r"^[^\W_](?:[\w-]{0,61}[^\W_])?$")


def check_text(value: object, *, longest: int) -> str:
    """One line of text in any script: 1 to `longest` characters, NFC, trimmed, no control characters."""
    valid = f"text of 1 to {longest} characters on one line, in any script, without control characters"
    if not isinstance(value, str):
        raise ValueError(f"{valid} (in YAML, put it in quotes)")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        raise ValueError(valid)
    text = unicodedata.normalize("NFC", value).strip()
    # Text made only of invisible characters would show as nothing at all.
    if not 1 <= len(text) <= longest or all(unicodedata.category(char) in ("Cf", "Zs") for char in text):
        raise ValueError(valid)
    return text


def check_slug(value: object) -> str:
    if not isinstance(value, str) or not SLUG_PATTERN.fullmatch(value):
        raise ValueError(
            "3 to 40 characters a-z, 0-9 and '-', starting with a letter, not ending with '-', such as acme"
        )
    return value


def check_email(value: object) -> str:
    """An address with one @; the domain in lower case. Length limits of RFC 5321: 64, and 254 in all."""
    valid = "an e-mail address such as contact@acme.example"
    if not isinstance(value, str):
        raise ValueError(valid)
    local, at, domain = unicodedata.normalize("NFC", value.strip()).rpartition("@")
    labels = domain.lower().split(".")
    if not at or len(local) > 64 or len(local) + 1 + len(domain) > 254 or not _LOCAL.fullmatch(local):
        raise ValueError(valid)
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError(valid)
    return f"{local}@{'.'.join(labels)}"


def check_phone(value: object) -> str:
    """An international number in E.164 form: `+41 22 555 01 42`, `0041 (0)22 555.01.42` -> `+41225550142`."""
    valid = "an international number with its country code, such as +41 22 555 01 42 (7 to 15 digits)"
    if not isinstance(value, str):
        raise ValueError(f"{valid}, in quotes")
    compact = re.sub(r"[\s./()\u00a0\u2010-\u2013-]", "", value.strip().replace("(0)", ""))
    if compact.startswith("00"):
        compact = f"+{compact[2:]}"
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", compact):
        raise ValueError(valid)
    return compact


def check_country(value: object) -> str:
    if not isinstance(value, str) or value.strip().upper() not in _COUNTRIES:
        raise ValueError("a two-letter ISO 3166-1 country code, such as CH or FR")
    return value.strip().upper()


def check_postal_code(value: object, country: str | None) -> str:
    """A postal code as its country writes it; any plausible one where the country is unknown to the table."""
    pattern, form = _POSTAL.get(country or "", _POSTAL_GENERIC)
    where = f" for {country}" if country in _POSTAL else ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # YAML reads 1204 as a number
    if not isinstance(value, str):
        raise ValueError(f"a postal code{where}: {form}")
    text = value.strip().upper()
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(f"a postal code{where}: {form}")
    return text


def matching(pattern: str, valid: str) -> BeforeValidator:
    """Takes text that is all of `pattern`; `valid` says which text that is."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(valid)
        return value

    return BeforeValidator(check)


def listed(value: object) -> object:
    """A list of YAML as the tuple that models keep."""
    return tuple(value) if isinstance(value, list) else value


def _text(longest: int) -> BeforeValidator:
    return BeforeValidator(lambda value: check_text(value, longest=longest))


NameText = Annotated[str, _text(200), Field(description="text of 1 to 200 characters, in any script")]
LineText = Annotated[str, _text(200), Field(description="text of 1 to 200 characters")]
ShortText = Annotated[str, _text(100), Field(description="text of 1 to 100 characters")]
LongText = Annotated[str, _text(2000), Field(description="text of 1 to 2000 characters")]
Slug = Annotated[str, BeforeValidator(check_slug), Field(description="the tenant's short name, such as acme")]
Email = Annotated[str, BeforeValidator(check_email), Field(description="an e-mail address")]
Phone = Annotated[str, BeforeValidator(check_phone), Field(description="a phone number such as +41 22 555 01 42")]
Country = Annotated[str, BeforeValidator(check_country), Field(description="a two-letter country code such as CH")]
Region = Annotated[
    str,
    matching(r"[a-z][a-z0-9-]{0,40}", "a region's name, such as eu-central"),
    Field(description="the region whose servers it is built on"),
]
