"""The policy packs of one deployment: started, configured, asked about each resource and about the stack.

A violation that stops: in an update, the resource is not touched and nothing more is started; a preview goes on, so
that all of them are told, and fails at its end. Called by the deployment's loop; only `cancel` comes from elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from engine import events
from engine.analyzer import Analyzer, PackInfo, Subject
from engine.errors import BailError, EngineError, PluginError, ResourceError
from engine.operation import Target
from engine.policy import (
    Level,
    PackSource,
    Remediation,
    Violation,
    config_errors,
    reconciled,
    secret_texts,
    unknown_policies,
    without,
)
from engine.reporter import Reporter
from engine.resource import Goal, State, split_provider_ref

T = TypeVar("T")


class PolicyPacks:
    """`violated` says that the operation fails at its end, though nothing else went wrong."""

    def __init__(self, sources: Sequence[PackSource], target: Target, reporter: Reporter, *, dry_run: bool) -> None:
        self._sources = sources
        self._target = target
        self._reporter = reporter
        self._dry_run = dry_run
        self._analyzers: list[Analyzer] = []
        self._secrets = {target.config[key] for key in target.secret_keys if key in target.config}
        self._goals: dict[str, Goal] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._cancelled = False
        self.violated = False
        self.ran: dict[str, str] = {}
        """Version by name, as the summary tells them."""

    # -------------------------------------------------------- starting

    def load(self, engine_address: Callable[[], str]) -> None:
        """Starts and configures them all. Raises PluginError, UsageError; BailError where diagnostics have said it."""
        if not self._sources:
            return
        address = engine_address()
        # All at once: each takes some tenths of a second.
        for source in self._sources:
            self._reporter.send({"policyLoadEvent": {}})
            self._analyzers.append(Analyzer(source, self._target, address, dry_run=self._dry_run, on_line=self._line))
        if self._cancelled:
            raise BailError("canceled while policy packs were loading")
        errors = [error for analyzer in self._analyzers for error in self._configure(analyzer)]
        for error in sorted(errors):
            self._reporter.diagnose("error", "", error)
        if errors:
            raise EngineError("validating policy config")

    def _configure(self, analyzer: Analyzer) -> Iterable[str]:
        analyzer.configure_stack(self._target, dry_run=self._dry_run)
        info, source = analyzer.info(), analyzer.source
        if not info.takes_config:
            if source.config is not None:
                raise EngineError(f'policy pack "{info.name}" at "{source.name}" does not support config')
            self._note(info, source)
            return ()
        unknown = unknown_policies(info.policies, source.config or {})
        if unknown:
            # It could be a misspelt name, and then a policy would not be what its owner believes.
            self._reporter.diagnose(
                "warning",
                "",
                f"policy pack '{info.name}' has no policy named {', '.join(unknown)}: it is not configured",
            )
        config = reconciled(info.policies, info.initial, source.config or {})
        errors = [
            f"validating policy config: {info.name} {info.version}  {error}"
            for error in config_errors(info.policies, config)
        ]
        if not errors:
            analyzer.configure(config)
            self._note(info, source)
        return errors

    def _note(self, info: PackInfo, source: PackSource) -> None:
        self.ran[f"{info.name}|local|{source.name}"] = info.version

    def _line(self, text: str, is_error: bool) -> None:
        self._reporter.program_log(events.diagnostic("info#err" if is_error else "info", without(text, self._secrets)))

    # -------------------------------------------------------- a resource

    def inspect(self, goal: Goal, new: State, states: Mapping[str, State]) -> None:
        """Has the inputs of a resource corrected and judged. Raises ResourceError for a pack that fails, BailError.

        Called again where the inputs have been checked anew, for a replacement: it then tells only what is new.
        """
        if not self._analyzers:
            return
        again = new.urn in self._goals
        self._goals[new.urn] = goal
        subject = Subject(state=new, goal=goal, provider=_provider_of(new, states))
        for analyzer in self._analyzers:
            for remediation in self._asked(new, "remediation", partial(analyzer.remediate, subject)):
                self._apply(new, remediation, again=again)
        stopped = False
        for analyzer in self._analyzers:
            for violation in self._asked(new, "policy", partial(analyzer.analyze, subject)):
                self._tell(new.urn, violation, new)
                stopped = stopped or violation.stops
        if stopped and not self._dry_run:
            raise BailError(f"resource {new.urn} is invalid")
        self.violated = self.violated or stopped

    def _asked(self, new: State, what: str, ask: Callable[[], list[T]]) -> list[T]:
        try:
            return ask()
        except PluginError as error:
            message = without(f"failed to run {what}: {error}", self._hidden(new))
            raise ResourceError(new.urn, message) from error

    def _apply(self, new: State, remediation: Remediation, *, again: bool) -> None:
        if remediation.diagnostic:
            self._tell(
                new.urn,
                Violation(
                    policy=remediation.policy,
                    pack=remediation.pack,
                    version=remediation.version,
                    message=remediation.diagnostic,
                    level=Level.ADVISORY,
                ),
                new,
            )
        elif remediation.properties is not None:
            if not again:
                self._reporter.send(events.policy_remediation(new.urn, remediation, new.inputs))
            new.inputs = remediation.properties

    # -------------------------------------------------------- the stack

    def inspect_stack(self, states: Mapping[str, State], root: str) -> None:
        """Has the whole judged by its outputs; `root` is what a violation without a resource of its own is about."""
        subjects = [
            Subject(state=state, goal=self._goals.get(state.urn), provider=_provider_of(state, states))
            for state in states.values()
        ]
        hidden = {text for state in states.values() for text in self._hidden(state)}
        for analyzer in self._analyzers:
            try:
                violations = analyzer.analyze_stack(subjects)
            except PluginError as error:
                raise PluginError(without(str(error), hidden)) from error
            for violation in violations:
                urn = violation.urn if violation.urn in states else root
                shown = dataclasses.replace(violation, message=without(violation.message, hidden))
                self._reporter.send(events.policy_violation(urn, shown))
                self.violated = self.violated or violation.stops

    # -------------------------------------------------------- telling

    def _tell(self, urn: str, violation: Violation, about: State) -> None:
        # One that could not be corrected stops as a mandatory one does, and is told as one.
        level = Level.MANDATORY if violation.stops else violation.level
        message = without(violation.message, self._hidden(about))
        if (urn, violation.policy, message) in self._told:
            return
        self._told.add((urn, violation.policy, message))
        self._reporter.send(events.policy_violation(urn, dataclasses.replace(violation, level=level, message=message)))

    def _hidden(self, state: State) -> set[str]:
        return self._secrets | set(secret_texts(state.inputs)) | set(secret_texts(state.outputs))

    # -------------------------------------------------------- the end

    def cancel(self) -> None:
        self._cancelled = True
        for analyzer in list(self._analyzers):
            analyzer.cancel()

    def close(self) -> None:
        for analyzer in self._analyzers:
            analyzer.close()


def _provider_of(state: State, states: Mapping[str, State]) -> State | None:
    return states.get(split_provider_ref(state.provider)[0]) if state.provider else None
