"""The steps of an ISP as components: record, infrastructure, container, configuration, health (ISP-5).

Decides which step an object is counted to. What the objects are is decided by the platform; in which order the steps
come, by `isp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.isp_args import IspArgs, Platform
from components.isp_database import IspDatabase
from components.placing import Placed
from components.step import StepComponent
from providers.isp_health import IspHealth
from providers.isp_record import IspActivation, IspRecord

Resources = Sequence[pulumi.Resource]


class Record(StepComponent):
    """The ISP's row in the main database. `anchor` is the row."""

    def __init__(self, name: str, row: Mapping[str, Any], *, tenant: pulumi.Resource) -> None:
        super().__init__("tenantry:isp:Record", name, tenant=tenant, after=())
        self.anchor = IspRecord(name, dict(row), self.child_options())
        self.register_outputs({"recordId": self.anchor.record_id})


class Infrastructure(StepComponent):
    """What the container needs of its platform. `ready` is all of it."""

    def __init__(self, name: str, platform: Platform, *, tenant: pulumi.Resource, after: Resources) -> None:
        super().__init__("tenantry:isp:Infrastructure", name, tenant=tenant, after=after)
        self.ready = platform.lay(self.child_options)
        self.register_outputs({})


class Container(StepComponent):
    """The application, up and well. `environment` is never shown."""

    def __init__(
        self,
        name: str,
        platform: Platform,
        environment: Mapping[str, pulumi.Input[str]],
        *,
        tenant: pulumi.Resource,
        after: Resources,
    ) -> None:
        super().__init__("tenantry:isp:Container", name, tenant=tenant, after=after)
        self.placed: Placed = platform.run(environment, self.child_options)
        self.register_outputs({"upstream": self.placed.upstream})


class Configuration(StepComponent):
    """The database, made beside the infrastructure; and the entrance, which `open` makes once the container is up."""

    def __init__(self, name: str, args: IspArgs, *, tenant: pulumi.Resource, after: Resources) -> None:
        super().__init__("tenantry:isp:Configuration", name, tenant=tenant, after=after)
        self.database = IspDatabase(args, self.child_options)
        self.url: pulumi.Output[str]
        self.ready: Resources = ()

    def open(self, platform: Platform, container: Container) -> None:
        """Sets `url` and `ready`."""
        placed = container.placed

        def options(*more: pulumi.Resource) -> pulumi.ResourceOptions:
            return self.child_options(placed.ready, *more)

        opened = platform.open(placed, options)
        self.url, self.ready = opened.url, [placed.ready, *opened.ready]
        self.register_outputs({"url": self.url})


class Health(StepComponent):
    """`status` is `active`: each part works as its users use it. `parts` are the inputs of IspHealth."""

    def __init__(
        self, name: str, args: IspArgs, parts: Mapping[str, Any], *, tenant: pulumi.Resource, after: Resources
    ) -> None:
        super().__init__("tenantry:isp:Health", name, tenant=tenant, after=after)
        self.health = IspHealth(name, dict(parts), self.child_options())
        self.activation = IspActivation(
            name, slug=args.slug, tenant_mark=args.tenant_mark, opts=self.child_options(self.health)
        )
        self.status = self.activation.status
        self.register_outputs({"status": self.status})
