"""An ISP on Kubernetes: its pods with their secret and service, what guards them from maintenance, and their Ingress.

Decides what follows from the number of replicas. With several, one at a time may be away for maintenance
(PodDisruptionBudget), and they are spread over nodes and zones. One alone has no such budget: it could never be kept,
and would hold up the draining of its node for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes import apps, core, meta, policy
from pulumi_kubernetes import networking as net

from components import pods
from components.isp_args import DATA, IspArgs, Opened, Options
from components.isp_namespace import IspNamespace
from components.placing import Placed, Placing
from providers.backends import KubernetesBackend, secret

_SHORT = "30s"
_START_SECONDS = 1200
"""Long, since it is the run's limit that says how long a start may take: an ISP with many customers is given more."""
_TLS = "-tls"
_DELETE = "60s"
_ISSUER = "cert-manager.io/cluster-issuer"
# Of ingress-nginx; other controllers do not read it, and redirect by settings of their own.
_REDIRECT = "nginx.ingress.kubernetes.io/force-ssl-redirect"


class IspOnKubernetes:
    """The three steps of an ISP on a cluster. Each needs those before it."""

    def __init__(self, args: IspArgs, backend: KubernetesBackend) -> None:
        self._args, self._backend = args, backend
        self._space: IspNamespace

    def lay(self, options: Options) -> Sequence[pulumi.Resource]:
        self._space = IspNamespace(self._args.placing(options), self._args, self._backend)
        return self._space.ready

    def run(self, environment: Mapping[str, pulumi.Input[str]], options: Options) -> Placed:
        placing = self._args.placing(options, environment)
        space, several = self._space, self._args.replicas > 1
        metadata = pods.metadata(placing, space.name)
        settings = pods.secret(placing, space.name, space.cluster, placing.options())
        workload = pods.Workload(
            replicas=self._args.replicas,
            recreate=not several,
            spread=several,
            start_seconds=_START_SECONDS,
            service_account=space.service_account.metadata.apply(lambda made: str(made.name)),
            volumes=[pods.Volume(claim=space.claim.metadata.apply(lambda made: str(made.name)), path=DATA)],
        )
        deployment = apps.v1.Deployment(
            placing.name,
            metadata=metadata,
            spec=pods.deployment_spec(placing, self._backend, settings, workload),
            opts=self._on(placing.options(settings), create=f"{round(self._args.ready_seconds)}s"),
        )
        service = core.v1.Service(
            placing.name,
            metadata=metadata,
            spec=pods.service_spec(placing),
            opts=self._on(placing.options(deployment)),
        )
        if several:
            self._budget(placing, placing.options(deployment))
        upstream = pulumi.Output.from_input(space.name).apply(
            lambda named: f"{placing.object_name}.{named}.svc:{placing.app.port}"
        )
        return Placed(
            upstream=upstream,
            url=upstream.apply(lambda address: f"http://{address}"),
            anchor=deployment,
            ready=service,
            revision=deployment.metadata.apply(lambda made: f"{made.uid} {made.generation}"),
        )

    def open(self, placed: Placed, options: Options) -> Opened:
        del placed
        placing, entrance = self._args.placing(options), self._args.entrance
        needed = [self._own_certificate(placing)] if entrance.certificate == "own" else []
        ingress = net.v1.Ingress(
            placing.name,
            metadata=pods.metadata(placing, self._space.name, annotations=self._annotations()),
            spec=self._ingress(placing),
            opts=self._on(placing.options(*needed)),
        )
        return Opened(url=pulumi.Output.from_input(entrance.url), ready=[ingress])

    def outputs(self) -> dict[str, Any]:
        return {"namespace": self._space.name, "container": self._args.object_name}

    def _on(self, options: pulumi.ResourceOptions, *, create: str = _SHORT) -> pulumi.ResourceOptions:
        return pods.on(self._space.cluster, options, create=create, delete=_DELETE)

    def _budget(self, placing: Placing, options: pulumi.ResourceOptions) -> None:
        policy.v1.PodDisruptionBudget(
            placing.name,
            metadata=pods.metadata(placing, self._space.name),
            spec=policy.v1.PodDisruptionBudgetSpecArgs(
                max_unavailable=1, selector=meta.v1.LabelSelectorArgs(match_labels=pods.selector(placing))
            ),
            opts=self._on(options),
        )

    def _annotations(self) -> dict[str, str]:
        entrance, region = self._args.entrance, self._backend.ingress
        # Whether requests come in is asked through the door itself, by health. An address in the Ingress says less, and
        # ingress-nginx writes it once a minute, others never.
        found = {"pulumi.com/skipAwait": "true"}
        if entrance.certificate != "none":
            found[_REDIRECT] = "true"
        if entrance.certificate == "issuer" and region.issuer:
            found[_ISSUER] = region.issuer
        return found

    def _own_certificate(self, placing: Placing) -> core.v1.Secret:
        entrance = self._args.entrance
        given = {"tls.crt": entrance.certificate_from, "tls.key": entrance.key_from}
        content = {name: secret(variable, lines=True) for name, variable in given.items() if variable}
        return core.v1.Secret(
            f"{placing.name}-tls",
            metadata=pods.metadata(placing, self._space.name, suffix=_TLS),
            type="kubernetes.io/tls",
            string_data=pulumi.Output.secret(content),
            opts=self._on(placing.options()),
        )

    def _ingress(self, placing: Placing) -> net.v1.IngressSpecArgs:
        host = self._args.entrance.host
        port = net.v1.ServiceBackendPortArgs(name=pods.PORT_NAME)
        service = net.v1.IngressServiceBackendArgs(name=placing.object_name, port=port)
        path = net.v1.HTTPIngressPathArgs(
            path="/", path_type="Prefix", backend=net.v1.IngressBackendArgs(service=service)
        )
        tls = net.v1.IngressTLSArgs(hosts=[host], secret_name=f"{placing.object_name}{_TLS}")
        return net.v1.IngressSpecArgs(
            ingress_class_name=self._backend.ingress.class_,
            tls=None if self._args.entrance.certificate == "none" else [tls],
            rules=[net.v1.IngressRuleArgs(host=host, http=net.v1.HTTPIngressRuleValueArgs(paths=[path]))],
        )
