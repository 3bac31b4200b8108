"""From a resolved manifest to the arguments of the ISP's component. Imports the SDK.

Decides what a region's platform cannot do for an ISP, and that all secrets are there before anything is touched. It
never talks to a server.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from components.isp_args import IspArgs, IspEntrance, IspSize
from providers.backends import VARIABLE, DockerBackend, RegionParts, database_of, parts_of, secret, unset_secrets
from providers.errors import ConfigurationError
from stacks.inside import app_spec, demand_reachable
from stacks.isp.entrance import Entrance, entrance_of
from stacks.isp.line import size as size_of
from stacks.isp.manifest import IspManifest
from stacks.isp.settings import Ingress, IspSettings
from stacks.isp.sizing import share_of
from stacks.isp.waiting import waits_for
from stacks.resolve import ResolvedManifest


def isp_args(resolved: ResolvedManifest[IspManifest], mark: str) -> IspArgs:
    """Plain values, no Outputs. Raises ConfigurationError for a wrong environment."""
    manifest = resolved.manifest
    settings = IspSettings.model_validate(dict(resolved.settings))
    parts = parts_of(manifest.region)
    entrance = entrance_of(manifest.slug, settings.ingress, parts)
    _demand_secrets(parts, settings.ingress)
    _demand_room(manifest.region, parts, settings)
    size = size_of(resolved)
    share = share_of(size, settings.replicas)
    return IspArgs(
        slug=manifest.slug,
        tenant_mark=mark,
        name=manifest.name,
        admin_email=manifest.admin_email,
        region=manifest.region,
        plan=manifest.plan_type,
        customers=manifest.customer_count,
        features=manifest.features,
        template_id=resolved.template_id,
        template_version=resolved.template_version,
        app=app_spec(settings.application, image=_image(settings)),
        environment=settings.application.environment,
        size=IspSize(
            cpu_cores=size.cpu_cores,
            memory_mib=size.memory_mib,
            storage_mib=size.storage_mib,
            max_connections=size.max_connections,
        ),
        replicas=settings.replicas,
        share_cpu=share.cpu_cores,
        share_memory_mib=share.memory_mib,
        entrance=_entrance(entrance, settings.ingress),
        laid_seconds=waits_for("infrastructure"),
        ready_seconds=waits_for("container"),
        health_seconds=waits_for("health"),
    )


def _image(settings: IspSettings) -> str:
    if settings.application.image is None:
        raise ConfigurationError(
            "customSettings.application.image: a container needs an image: name one, or build the sample's with "
            "`python -m sandbox.sample_app.image`."
        )
    return settings.application.image


def _demand_room(region: str, parts: RegionParts, settings: IspSettings) -> None:
    """What this platform gives no ISP."""
    assert parts.container is not None  # noqa: S101 - an entrance was found by it
    inside = database_of(region).settings_inside()
    demand_reachable(region, parts.container.platform, {"database.host": inside.host})
    if isinstance(parts.container, DockerBackend) and settings.replicas > 1:
        raise ConfigurationError(
            f"customSettings.replicas: given {settings.replicas}; valid: 1, as nothing on docker shares requests "
            "among containers. Choose a region on kubernetes."
        )


def _demand_secrets(parts: RegionParts, ingress: Ingress) -> None:
    """All that are not set are told at once; and a certificate that does not fit its key."""
    named = os.environ.get(VARIABLE, VARIABLE)
    missing = [f"{name}, which {named} names" for name in unset_secrets(parts)]
    own = {"certificateFrom": ingress.certificate_from, "keyFrom": ingress.key_from} if ingress.tls == "own" else {}
    missing += [
        f"{variable}, customSettings.ingress.{key}"
        for key, variable in own.items()
        if variable and not os.environ.get(variable, "").strip()
    ]
    if missing:
        raise ConfigurationError(f"these variables hold secrets and are not set: {'; '.join(missing)}.")
    if ingress.certificate_from and ingress.key_from and own:
        _demand_pair(ingress.certificate_from, ingress.key_from)


def _demand_pair(certificate: str, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="tenantry-") as folder:
        file = Path(folder) / "pair.pem"
        file.touch(mode=0o600)
        file.write_text(f"{secret(certificate, lines=True)}\n{secret(key, lines=True)}\n")
        try:
            # With a password, or OpenSSL asks for one at the terminal, and waits there.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, password="")
        except (OSError, ValueError):
            # Without OpenSSL's words: they say where in the key it stopped to make sense.
            raise ConfigurationError(
                f"customSettings.ingress: {certificate} and {key} are no certificate (PEM, with its chain) and its "
                "key, without a passphrase. Set both as they were given out."
            ) from None


def _entrance(entrance: Entrance, ingress: Ingress) -> IspEntrance:
    own = entrance.certificate == "own"
    return IspEntrance(
        host=entrance.host,
        certificate=entrance.certificate,
        url=entrance.url,
        certificate_from=ingress.certificate_from if own else None,
        key_from=ingress.key_from if own else None,
    )
