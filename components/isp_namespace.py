"""What an ISP's pods find when they come: namespace, quota, limits, network policies, service account, volume.

Decides how much there is room for. In a namespace of its own the tenant has a quota, and whatever else may be put there
is closed in as well; in one that all tenants share, quota and limits are its administrator's to set.

A volume that one node at a time may have (ReadWriteOnce) is enough for one pod, and is what every storage class gives.
Its pod is ended before its successor begins (Recreate, a pause of seconds): on another node, the successor would wait
for the volume for ever. Several pods share one volume, which takes a storage class that can do that (ReadWriteMany).
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes import core
from pulumi_kubernetes import networking as net

from components import isp_network, pods
from components.isp_args import IspArgs
from components.placing import Placing
from providers.backends import KubernetesBackend, database_of
from providers.kubernetes.keeping import KEPT

_DELETE = "100s"
_SOLVER_CPU, _SOLVER_MEMORY = 100, 64
"""Millicores and MiB of a pod of cert-manager's, or of whatever says no size of its own."""
_LEVEL = "restricted"
_SPARE_PODS = 2
"""One beside the replicas: a new one before an old one goes, or in place of one whose node went. And one solver."""


class IspNamespace:
    """`name` is the namespace's, `ready` all that there is in it before the pods come."""

    def __init__(self, placing: Placing, args: IspArgs, backend: KubernetesBackend) -> None:
        self._placing, self._args, self._backend = placing, args, backend
        self.cluster = pods.provider(placing, backend)
        self.name: pulumi.Input[str] = backend.namespace or placing.object_name
        self._space: core.v1.Namespace | None = None
        if backend.namespace is None:
            self._space = self._own_namespace()
            self.name = self._space.metadata.apply(lambda made: str(made.name))
        self.service_account = self._service_account()
        self.claim = self._claim()
        self.ready: Sequence[pulumi.Resource] = [self.service_account, self.claim, *self._limits(), *self._policies()]

    def within(self) -> pulumi.ResourceOptions:
        """For what is in the namespace, and goes with one of its own."""
        options = self._on_cluster()
        if self._space is None:
            return options
        inside = pulumi.ResourceOptions(depends_on=[self._space], deleted_with=self._space)
        return pulumi.ResourceOptions.merge(options, inside)

    def _on_cluster(self) -> pulumi.ResourceOptions:
        return pods.on(self.cluster, self._placing.options(), create=f"{self._args.laid_seconds:.0f}s", delete=_DELETE)

    def _own_namespace(self) -> core.v1.Namespace:
        level = {f"pod-security.kubernetes.io/{mode}": _LEVEL for mode in ("enforce", "audit", "warn")}
        return core.v1.Namespace(
            self._placing.name,
            metadata=pods.metadata(self._placing, None, labels=level),
            opts=self._on_cluster(),
        )

    def _service_account(self) -> core.v1.ServiceAccount:
        return core.v1.ServiceAccount(
            self._placing.name,
            metadata=pods.metadata(self._placing, self.name),
            automount_service_account_token=False,
            opts=self.within(),
        )

    def _claim(self) -> core.v1.PersistentVolumeClaim:
        return core.v1.PersistentVolumeClaim(
            self._placing.name,
            metadata=pods.metadata(
                self._placing,
                self.name,
                annotations={
                    # It may be bound no sooner than its first pod comes (WaitForFirstConsumer).
                    "pulumi.com/skipAwait": "true",
                    # A plan that gives less, or a growth that is taken back, does not make an empty one of it.
                    KEPT: "true",
                },
            ),
            spec=core.v1.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce" if self._args.replicas == 1 else "ReadWriteMany"],
                storage_class_name=self._backend.storage_class,
                resources=core.v1.VolumeResourceRequirementsArgs(
                    requests={"storage": f"{self._args.size.storage_mib}Mi"}
                ),
            ),
            opts=self.within(),
        )

    def _limits(self) -> list[pulumi.Resource]:
        if self._space is None:
            return []
        name, metadata = self._placing.name, pods.metadata(self._placing, self.name)
        cpu, memory = round(self._args.share_cpu * 1000), self._args.share_memory_mib
        default = {"cpu": f"{_SOLVER_CPU}m", "memory": f"{_SOLVER_MEMORY}Mi"}
        most = {"cpu": f"{max(cpu, _SOLVER_CPU)}m", "memory": f"{max(memory, _SOLVER_MEMORY)}Mi"}
        item = core.v1.LimitRangeItemArgs(type="Container", default=default, default_request=default, max=most)
        quota = core.v1.ResourceQuotaSpecArgs(hard=self._hard(cpu, memory))
        return [
            core.v1.ResourceQuota(name, metadata=metadata, spec=quota, opts=self.within()),
            core.v1.LimitRange(
                name, metadata=metadata, spec=core.v1.LimitRangeSpecArgs(limits=[item]), opts=self.within()
            ),
        ]

    def _hard(self, cpu: int, memory: int) -> dict[str, str]:
        return {
            **self._sum(cpu, memory),
            "pods": str(self._args.replicas + _SPARE_PODS),
            # Not its size: that is asked for by us alone, and the quota of before would refuse the volume's growth.
            "persistentvolumeclaims": "1",
            "services.nodeports": "0",
            "services.loadbalancers": "0",
        }

    def _sum(self, cpu: int, memory: int) -> dict[str, str]:
        """Of one pod, what all in the namespace may have, its successor among them.

        Of several pods, each change has some of the old size and some of the new: a sum for either would refuse the
        next one for ever. Their number and what each may have (LimitRange) are bounds enough.
        """
        if self._args.replicas > 1:
            return {}
        cores, mib = f"{2 * cpu + _SOLVER_CPU}m", f"{2 * memory + _SOLVER_MEMORY}Mi"
        return {
            **{f"{kind}.cpu": cores for kind in ("requests", "limits")},
            **{f"{kind}.memory": mib for kind in ("requests", "limits")},
        }

    def _policies(self) -> list[pulumi.Resource]:
        controller = self._backend.ingress.namespace
        where = database_of(self._args.region).settings_inside()
        own = pods.selector(self._placing)
        wanted = {
            # Of the pods that are this tenant's alone, where others' are beside them.
            "-closed": isp_network.closed(None if self._space is not None else own),
            "": isp_network.application(
                own, port=self._args.app.port, controller=controller, database=(where.host, where.port)
            ),
        }
        if self._space is not None and self._args.entrance.certificate == "issuer":
            wanted["-solver"] = isp_network.solver(controller=controller)
        return [
            net.v1.NetworkPolicy(
                f"{self._placing.name}{suffix}",
                metadata=pods.metadata(self._placing, self.name, suffix=suffix),
                spec=spec,
                opts=self.within(),
            )
            for suffix, spec in wanted.items()
        ]
