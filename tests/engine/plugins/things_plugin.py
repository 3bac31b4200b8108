"""A provider plugin as the SDK's `pulumi.provider` makes one: a component, its method, a function.

Tests copy it into a plugin folder as `__main__.py`; it must not import anything of this repository.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pulumi
from pulumi.provider import CallResult, CheckFailure, ConstructResult, Provider, main
from pulumi.provider.provider import InvokeResult


class Pair(pulumi.ComponentResource):
    """Two buckets; `twice` depends on both."""

    def __init__(self, name: str, inputs: Any, opts: Any = None) -> None:
        super().__init__("things:index:Pair", name, {"size": inputs["size"]}, opts)
        below = pulumi.ResourceOptions(parent=self)
        size = pulumi.Output.from_input(inputs["size"])
        first = pulumi.CustomResource("fake:index:Bucket", f"{name}-1", {"size": size, "arn": None}, below)
        second = pulumi.CustomResource(
            "fake:index:Bucket", f"{name}-2", {"first": first.arn, "label": inputs.get("label"), "arn": None}, below
        )
        self.arns = pulumi.Output.all(first.arn, second.arn)
        self.size = size
        self.register_outputs({"arns": self.arns, "size": self.size})


class Things(Provider):
    def construct(self, name: str, resource_type: str, inputs: Any, options: Any = None) -> ConstructResult:
        if resource_type == "things:index:Broken":
            raise ValueError(f"{name} cannot be built")
        if resource_type == "things:index:Dying":
            os._exit(5)
        pair = Pair(name, inputs, options)
        facts = {
            "stack": pulumi.get_stack(),
            "region": pulumi.Config("things").get("region"),
            "dry_run": pulumi.runtime.is_dry_run(),
        }
        return ConstructResult(pair.urn, {"arns": pair.arns, "size": pair.size, "facts": facts})

    def call(self, token: str, args: Any) -> CallResult:
        if token.endswith("/broken"):
            raise ValueError("the method is broken")
        if args.get("by") == 0:
            return CallResult({}, [CheckFailure("by", "must not be 0")])
        # A resource of a type that nobody has declared here is its URN.
        return CallResult({"urn": args["__self__"], "by": pulumi.Output.from_input(args["by"]).apply(lambda n: -n)})

    def invoke(self, token: str, args: Any) -> InvokeResult:
        return InvokeResult({"token": token, "args": args, "told": os.environ.get("THINGS_TOLD", "")})


if __name__ == "__main__":
    main(Things("1.0.0"), sys.argv[1:])
