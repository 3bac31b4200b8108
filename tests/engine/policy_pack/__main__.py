"""A policy pack for `test_policy.py`: rules for buckets and stacks; what is told to misbehave does."""

import os
import sys
import time
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

BUCKET = "fake:index:Bucket"


def small(args: ResourceValidationArgs, report: ReportViolation) -> None:
    size = args.props.get("size") or 0
    limit = (args.get_config() or {}).get("max", 10)
    if args.resource_type == BUCKET and size > limit:
        report(f"{args.name} has {size:g}, which is over {limit:g}; its password is {args.props.get('password')}")


def account(args: ResourceValidationArgs, report: ReportViolation) -> None:
    provider = args.provider
    if provider is not None and provider.props.get("account") == "root":
        report(f"{args.name} is made by {provider.name}")


def labelled(args: ResourceValidationArgs) -> dict[str, Any] | None:
    if args.resource_type != BUCKET or "owner" in args.props:
        return None
    args.props["owner"] = "team"
    return args.props


def options(args: ResourceValidationArgs, report: ReportViolation) -> None:
    protect, ignored, timeouts = args.opts.protect, list(args.opts.ignore_changes), args.opts.custom_timeouts
    if protect or ignored:
        first = args.opts.delete_before_replace
        report(f"protect={protect} ignore={ignored} create={timeouts.create_seconds:g} dbr={first}")


def known(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == BUCKET and args.props["source"].startswith("no"):
        report("a bad source")


def odd(args: ResourceValidationArgs, report: ReportViolation) -> None:
    what = args.props.get("odd") if args.resource_type == BUCKET else None
    if what == "raise":
        raise ValueError(f"cannot judge {args.props.get('password')}")
    if what == "die":
        sys.stderr.write("I am gone\n")
        os._exit(3)
    if what == "hang":
        time.sleep(60)
    if what == "print":
        print("a line of the pack, with", args.props.get("password"), flush=True)  # noqa: T201 - packs print
    if what == "environment":
        config = pulumi.Config("project").get("who")
        report(f"{pulumi.get_project()}/{pulumi.get_stack()} {config} dry={pulumi.runtime.is_dry_run()}")


def few(args: StackValidationArgs, report: ReportViolation) -> None:
    buckets = [r for r in args.resources if r.resource_type == BUCKET]
    limit = (args.get_config() or {}).get("max", 3)
    if len(buckets) > limit:
        names = ", ".join(sorted(r.name for r in buckets))
        report(f"there are {len(buckets)}: {names}", buckets[-1].urn)


def related(args: StackValidationArgs, report: ReportViolation) -> None:
    for resource in args.resources:
        if resource.dependencies and resource.props.get("odd") == "tell":
            above = resource.parent.name if resource.parent is not None else ""
            by_property = {k: [d.name for d in v] for k, v in resource.property_dependencies.items()}
            report(f"{resource.name}: {above} {[d.name for d in resource.dependencies]} {by_property}")


MAX = PolicyConfigSchema({"max": {"type": "number", "default": 10, "minimum": 1}})
FEW = PolicyConfigSchema({"max": {"type": "integer"}, "why": {"enum": ["a", "b"]}})

if os.environ.get("ODD_PACK") == "raise":
    raise RuntimeError("this pack is broken")
if os.environ.get("ODD_PACK") == "exit":
    sys.exit(0)

PolicyPack(
    name="rules",
    enforcement_level=EnforcementLevel.MANDATORY,
    initial_config={"off": EnforcementLevel.DISABLED},
    policies=[
        ResourceValidationPolicy("small", "Buckets are small.", small, config_schema=MAX),
        ResourceValidationPolicy("account", "Nothing is made by root.", account),
        ResourceValidationPolicy(
            "labelled", "Buckets have an owner.", enforcement_level=EnforcementLevel.DISABLED, remediate=labelled
        ),
        ResourceValidationPolicy("options", "Options are told.", options, EnforcementLevel.ADVISORY),
        ResourceValidationPolicy("known", "Sources are known.", known, EnforcementLevel.DISABLED),
        ResourceValidationPolicy("odd", "What misbehaves.", odd, EnforcementLevel.ADVISORY),
        ResourceValidationPolicy("off", "What is off.", lambda _, report: report("it runs")),
        StackValidationPolicy("few", "Stacks are small.", few, config_schema=FEW),
        StackValidationPolicy("related", "Relations are told.", related, EnforcementLevel.ADVISORY),
    ],
)
