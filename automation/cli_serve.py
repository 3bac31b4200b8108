"""`tenantry serve` and `tenantry token`.

Decides words on the command line only: serving is `serving`'s, what a token says `tokens`'s.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Annotated

import typer

from automation.cli_support import Output
from automation.errors import InputError


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; TENANTRY_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Port, 0 for any free one; TENANTRY_PORT.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=64, help="How many processes serve; TENANTRY_PROCESSES.")
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain (PEM); TENANTRY_TLS_CERT.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="Its key (PEM); TENANTRY_TLS_KEY.")
    ] = None,
) -> None:
    """Serve the HTTP API and the web page until stopped. SIGTERM lets requests end and closes live channels."""
    from automation.serving import load_serve_settings
    from automation.serving import serve as run

    gc.enable()  # switched off for commands that live for a second
    run(load_serve_settings(host=host, port=port, processes=processes, tls_cert=tls_cert, tls_key=tls_key))


def token(
    subject: Annotated[str, typer.Argument(help="Whose token it is: a name, as jobs and the audit trail show it.")],
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="admin or creator of the platform; may be given again.")
    ] = None,
    tenants: Annotated[
        list[str] | None,
        typer.Option("--tenant", metavar="SLUG=ROLE", help="owner, admin or member of a tenant; may be given again."),
    ] = None,
    hours: Annotated[float, typer.Option("--hours", help="How long it is good.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Make a token for trying out, signed with TENANTRY_JWT_SECRET or TENANTRY_JWT_SECRET_FILE."""
    from automation.tokens import load_token_settings, mint

    output = Output(as_json=as_json)
    text = mint(
        load_token_settings(), subject=subject, roles=roles or (), tenants=_pairs(tenants or ()), seconds=hours * 3600
    )
    if as_json:
        output.document({"type": "token", "token": text, "seconds": int(hours * 3600)})
    else:
        output.say(text)


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        slug, equals, role = word.partition("=")
        if not slug or not equals:
            raise InputError(f"--tenant {word[:60]!r} is not SLUG=ROLE", hint="as in `--tenant acme=owner`")
        pairs[slug] = role
    return pairs
