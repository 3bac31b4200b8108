"""Waits for objects of a cluster as the stock provider does, and says what they lack.

Layers, each of which knows only those below:
- `await_ready`, `await_deleted`, `skips_await`, `timeout_of`, `problems_of`: what the provider calls.
- `readiness`, `deletion`: what is looked at, on top of `loop`, which looks, tells and sleeps, `watches`, which hears of
  changes, and `explaining`, which asks for pods and events.
- `rules`: which kind is waited for how, and `annotations`, by which a program says otherwise.
- `workloads`, `running`, `network`, `storage`, `others`, `custom`: whether an object is ready. Pure.
- `pods`, `events`, `confidential`: what is told of it. Pure.
"""

from dataclasses import replace

from providers.kubernetes.awaiting.annotations import problems_of, skips_await, timeout_of, wishes_of
from providers.kubernetes.awaiting.custom import judge_with
from providers.kubernetes.awaiting.deletion import Deletion
from providers.kubernetes.awaiting.errors import AwaitCancelledError, NotReady
from providers.kubernetes.awaiting.loop import Wait
from providers.kubernetes.awaiting.readiness import Readiness
from providers.kubernetes.awaiting.rules import rule_of
from providers.kubernetes.awaiting.verdict import Rule, no_queries
from providers.kubernetes.seam import Cancelled, Cluster, Document, Report

__all__ = [
    "AwaitCancelledError",
    "NotReady",
    "await_deleted",
    "await_ready",
    "problems_of",
    "skips_await",
    "timeout_of",
]


def await_ready(cluster: Cluster, obj: Document, *, timeout: float, report: Report, cancelled: Cancelled) -> Document:
    """The object as it was when it was ready; at once where its kind is not waited for.

    `obj` is what the server answered when it was applied, `timeout` in seconds. Raises NotReady, RefusedError.
    """
    wishes = wishes_of(obj)
    rule = rule_of(obj)
    if wishes:
        judge = judge_with(wishes)
        rule = replace(rule, judge=judge, queries=no_queries) if rule else Rule(judge=judge)
    if rule is None:
        return obj
    task = Readiness(cluster=cluster, rule=rule, last=obj)
    Wait(cluster=cluster, timeout=timeout, report=report, cancelled=cancelled).run(task)
    return task.last


def await_deleted(cluster: Cluster, obj: Document, *, timeout: float, report: Report, cancelled: Cancelled) -> None:
    """Returns when the object is gone. `obj` is as it was when it was last seen. Raises NotReady."""
    task = Deletion(cluster=cluster, last=obj)
    Wait(cluster=cluster, timeout=timeout, report=report, cancelled=cancelled).run(task)
