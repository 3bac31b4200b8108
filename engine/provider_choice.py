"""Which provider serves what a program asks for: its own, its parents' for the package, or the package's default one.

A default provider is registered like any other resource, once for each package that is asked for without a provider.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

from engine.errors import PluginError
from engine.operation import Target
from engine.packages import (
    BUILTIN_PACKAGE,
    PackageRequest,
    PluginSpec,
    default_denied,
    default_provider_inputs,
    default_provider_name,
    denied_reference,
    provider_inputs,
    require_version,
    spec_of_provider,
    spec_of_request,
)
from engine.resource import (
    PROVIDER_PREFIX,
    UNKNOWN_SENTINEL,
    Goal,
    PropertyMap,
    is_provider_type,
    make_urn,
    package_of,
    provider_ref,
)
from engine.source import Registered, RegisterResource

Request = Any


class ProviderChoice:
    """The providers of one program. `ask` sends a registration to the deployment and waits for its answer."""

    def __init__(
        self,
        target: Target,
        ask: Callable[[RegisterResource], Registered],
        prepare: Callable[[PluginSpec], None],
    ) -> None:
        self._target = target
        self._ask = ask
        self._prepare = prepare
        self._packages: dict[str, PackageRequest] = {}
        self._defaults: dict[PackageRequest, Future[Registered]] = {}
        self._inherited: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    # -------------------------------------------------------- packages

    def register_package(self, request: Request) -> str:
        """A name for a package, which may be made from a plugin of another one. Raises PluginError."""
        if not request.name:
            raise PluginError("package name is empty")
        if request.HasField("extension"):
            raise PluginError(f"not served: the extension of package {request.name}. Use TENANTRY_ENGINE=stock.")
        version = require_version(request.version)
        package = PackageRequest(request.name, version, request.download_url)
        if request.HasField("parameterization"):
            made = request.parameterization
            package = PackageRequest(
                name=made.name,
                version=require_version(made.version),
                download_url=request.download_url,
                plugin=request.name,
                plugin_version=version,
                parameter=made.value,
            )
        with self._lock:
            known = next((ref for ref, other in self._packages.items() if other == package), None)
            ref = known or str(uuid.uuid4())
            self._packages[ref] = package
        return ref

    def _package(self, request: Request, name: str) -> PackageRequest:
        if request.packageRef:
            found = self._packages.get(request.packageRef)
            if found is None:
                raise PluginError(f"unknown provider package '{request.packageRef}'")
            return found
        version, url = require_version(request.version), request.pluginDownloadURL
        return PackageRequest(name, version, url.removesuffix("/") if version else url)

    # -------------------------------------------------------- choosing

    def prepare(self, request: Request) -> None:
        """Lets the plugin that a registration will need start: registrations are decided one by one."""
        package = package_of(request.type)
        if is_provider_type(request.type):
            spec, _ = spec_of_provider(request.type, self.own_inputs(request, {}))
            self._prepare(spec)
        elif not self.given(request) and not default_denied(package, self._target.config):
            self._prepare(spec_of_request(self._package(request, package)))

    def own_inputs(self, request: Request, inputs: PropertyMap) -> PropertyMap:
        """The inputs of a provider that a program registers, with what the registration says of its plugin."""
        package = self._package(request, package_of(request.type))
        return provider_inputs(inputs, package, dict(request.envVarMappings))

    def for_resource(self, request: Request) -> str:
        """The reference of a resource's provider; where it must not have a default one, what says so when used."""
        package = package_of(request.type)
        given = self.given(request)
        if given:
            return given
        if default_denied(package, self._target.config):
            target = self._target
            # What is only asked for, and not registered, has no name.
            name = getattr(request, "name", "") or getattr(request, "id", "")
            urn = make_urn(target.stack, target.project, request.parent, request.type, name)
            return denied_reference(package, urn)
        return self._default(self._package(request, package))

    def for_token(self, request: Request) -> str:
        """The reference of the provider of a function or a method; empty for the built-in one. Raises PluginError."""
        package = package_of(request.tok)
        # A method is called at a resource, which says its provider; a function may have a parent that does.
        given = self._given(request, package)
        if given or package == BUILTIN_PACKAGE:
            return given
        if default_denied(package, self._target.config):
            return denied_reference(package, request.tok)
        return self._default(self._package(request, package))

    def all_of(self, request: Request) -> dict[str, str]:
        """The providers by package that children of this resource inherit."""
        return {**self._inherited.get(request.parent, {}), **request.providers}

    def remember(self, request: Request, urn: str) -> None:
        """What children of a registered resource inherit."""
        providers = self.all_of(request)
        if providers:
            self._inherited[urn] = providers

    def given(self, request: Request) -> str:
        """The provider that a resource is given by the program: its own or an inherited one; empty for none."""
        return self._given(request, package_of(request.type))

    def _given(self, request: Request, package: str) -> str:
        if "::" in request.provider:
            return cast("str", request.provider)
        # Only a registration has providers for its children, and a method no parent.
        own = dict(getattr(request, "providers", {}))
        return own.get(package) or self._inherited.get(getattr(request, "parent", ""), {}).get(package, "")

    def _default(self, package: PackageRequest) -> str:
        with self._lock:
            known = self._defaults.get(package)
            event = None
            if known is None:
                goal = Goal(
                    type=PROVIDER_PREFIX + package.name,
                    name=default_provider_name(package),
                    custom=True,
                    inputs=default_provider_inputs(package, self._target.config, self._target.secret_keys),
                )
                event = RegisterResource(goal=goal)
                known = self._defaults[package] = event.answer
        result = self._ask(event) if event is not None else known.result()
        return provider_ref(result.state.urn, result.state.id or UNKNOWN_SENTINEL)
