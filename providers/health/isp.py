"""An ISP's checks (ISP-4): its pods or container, its database, its application, and how requests get in.

Decides what "works" means for a part of an ISP. Each is used as its users do: the database by the application's role,
the application through the endpoint, whose certificate is verified as a browser would. Nothing is left changed.
"""

from __future__ import annotations

import datetime
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from providers.health.checks import SECONDS, Answer, Check, CheckError, asked, json_of, said, trust_in

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

WARN_DAYS = 14
"""A certificate that ends sooner is told: whoever renews certificates does so well before."""
_REDIRECTS = (301, 302, 303, 307, 308)
_NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How requests get in from here: `address` and `http_address` are where https and http are served, if not at the
    URL's own host; `ca` holds certificates of the authority, where it is no public one."""

    url: str
    health_path: str
    address: str | None = None
    http_address: str | None = None
    ca: str | None = None
    redirects: bool = False
    """Whether plain http has to lead to https; False where the door's http is not ours to say."""

    @property
    def secure(self) -> bool:
        return self.url.startswith("https:")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IspParts:
    """What there is to check. `tenant` is what the application calls itself, where it says so at all."""

    tenant: str
    workload: Check
    database_url: str = field(repr=False)
    door: Door


def checks_of(parts: IspParts) -> dict[str, Check]:
    """By name, in the order in which they are shown: workload, database, api, and tls or ingress."""
    return {
        "workload": parts.workload,
        "database": lambda: database(parts.database_url),
        "api": lambda: api(parts.door, parts.tenant),
        ("tls" if parts.door.secure else "ingress"): lambda: ingress(parts.door),
    }


def database(url: str) -> str:
    """The application's role can log in, make a table, write a row and read it back; all of it is taken back."""
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=int(SECONDS), autocommit=True) as connection:
            connection.execute(f"SET statement_timeout = '{int(SECONDS)}s'")
            with connection.transaction(force_rollback=True):
                connection.execute("CREATE TABLE tenantry_health (word text)")
                connection.execute("INSERT INTO tenantry_health VALUES ('written')")
                row = connection.execute("SELECT word, current_user FROM tenantry_health").fetchone()
            if row is None or row[0] != "written":
                raise CheckError("a row that was written is not to be seen")
    except psycopg.Error as error:
        # libpq's own messages name host, user and database, and never the password.
        raise CheckError(" ".join(str(error.diag.message_primary or error).split())[:300]) from None
    return f"{row[1]} writes and reads"


def api(door: Door, tenant: str) -> str:
    """The application answers its health path through the endpoint; one that says whose it is says this tenant."""
    answer = _through(door, door.health_path)
    if answer.status_code != 200:
        raise CheckError(f"it answered {answer.status_code} to GET {door.health_path}")
    named = json_of(answer).get("tenant")
    if isinstance(named, str) and named != tenant:
        raise CheckError(f"another tenant's application answers at {door.host}: {named[:80]!r}")
    return f"200, as {named!r}" if isinstance(named, str) else "200"


def ingress(door: Door) -> str:
    """Requests get in; with TLS, by a certificate that is valid for the host, and plain http leads to it."""
    answer = _through(door, door.health_path)
    if answer.status_code >= 500 or answer.status_code == 404:
        raise CheckError(f"it answered {answer.status_code} for {door.host}: there is no way to the application")
    status = f"status {answer.status_code}"
    if not door.secure:
        return f"{status}; plain http, no certificate"
    return f"{status}; {certificate(door)}; {_redirect(door)}"


def certificate(door: Door) -> str:
    """Names and dates of the certificate. Raises CheckError with them where it is not valid."""
    context = trust_in(door.ca)
    try:
        der = _shown(door, context)
    except ssl.SSLCertVerificationError as error:
        raise CheckError(f"the certificate is not valid: {error.verify_message}; {_seen(door)}") from None
    except (OSError, ValueError) as error:
        raise CheckError(f"no TLS at {door.address or door.host}: {said(error)}") from None
    return _described(der)


def _redirect(door: Door) -> str:
    if not door.redirects:
        return "http is not asked"
    if door.address and not door.http_address:
        return "http is not asked: the region's ingress names no httpAddress"
    answer = _plain(door)
    if answer.status_code not in _REDIRECTS or not answer.location.startswith("https://"):
        raise CheckError(f"http does not lead to https: it answered {answer.status_code}. Redirect it at the ingress")
    return f"http leads to https ({answer.status_code})"


def _plain(door: Door) -> Answer:
    return asked("GET", f"http://{door.http_address or door.host}{door.health_path}", headers={"Host": door.host})


def _through(door: Door, path: str) -> Answer:
    """As a user's request comes: where an address is given, whether public DNS knows the host is not what is asked."""
    at = urlsplit(door.url)
    address = (door.address if door.secure else door.http_address) or at.netloc
    return asked(
        "GET",
        f"{at.scheme}://{address}{path}",
        ca=door.ca if door.secure else None,
        headers={"Host": at.netloc},
        extensions={"sni_hostname": door.host} if door.secure else {},
    )


def _shown(door: Door, context: ssl.SSLContext) -> bytes:
    """The certificate that the host shows, as DER. Raises SSLCertVerificationError, OSError."""
    at = urlsplit(f"//{door.address}") if door.address else urlsplit(door.url)
    where = (at.hostname or "", at.port or 443)
    with socket.create_connection(where, timeout=SECONDS) as plain:
        plain.settimeout(SECONDS)
        with context.wrap_socket(plain, server_hostname=door.host) as secure:
            return secure.getpeercert(binary_form=True) or b""


def _seen(door: Door) -> str:
    """Of a certificate that is not valid: what it says of itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return _described(_shown(door, context))
    except (OSError, ValueError):
        return "it could not be looked at"


def _described(der: bytes) -> str:
    from cryptography import x509

    found = x509.load_der_x509_certificate(der)
    since, until = (f"{moment:%Y-%m-%d}" for moment in (found.not_valid_before_utc, found.not_valid_after_utc))
    days = (found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days
    soon = f", which is in {days} days: renew it" if 0 <= days < WARN_DAYS else ""
    return f"certificate for {_names(found)}, valid from {since} to {until}{soon}"


def _names(found: Certificate) -> str:
    from cryptography import x509

    try:
        value = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no name"
    names = [*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))]
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
