"""What the options of `up`, `preview`, `refresh`, `destroy` and `import` mean, and which do not go together. Pure."""

from __future__ import annotations

from typing import Final

from engine.arguments import Arguments
from engine.cli_pending import pairs
from engine.display import DisplayOptions
from engine.errors import UsageError
from engine.operation import Kind, Options
from engine.workspace import Context, check_secrets_provider

_PARALLEL: Final = 16


def operation_options(arguments: Arguments, *, preview: bool) -> Options:
    """What a deployment is told. Raises UsageError for options that do not go together, or are not what they should."""
    _refuse_contradictions(arguments)
    replaced = arguments.many("target-replace")
    return Options(
        dry_run=preview,
        parallel=max(arguments.integer("parallel", _PARALLEL), 1),
        targets=(*arguments.many("target"), *replaced),
        target_dependents=arguments.flag("target-dependents"),
        excludes=arguments.many("exclude"),
        exclude_dependents=arguments.flag("exclude-dependents"),
        replace=(*arguments.many("replace"), *replaced),
        continue_on_error=arguments.flag("continue-on-error"),
        refresh=arguments.flag("refresh"),
        run_program=arguments.flag("run-program"),
        clear_pending_creates=arguments.flag("clear-pending-creates"),
        forget_pending_creates=arguments.many("forget-pending-creates"),
        import_pending_creates=pairs(arguments),
        exclude_protected=arguments.flag("exclude-protected"),
        debug=arguments.flag("debug"),
        make_plan=preview and (bool(arguments.value("save-plan")) or arguments.flag("strict")),
    )


def _refuse_contradictions(arguments: Arguments) -> None:
    check_secrets_provider(arguments.value("secrets-provider"))
    if arguments.many("target") and arguments.many("exclude"):
        raise UsageError(
            "if any flags in the group [target exclude] are set none of the others can be; "
            "[exclude target] were all set"
        )
    if arguments.many("target") and arguments.flag("exclude-protected"):
        raise UsageError("you cannot specify --target and --exclude-protected")
    if arguments.flag("strict") and arguments.flag("skip-preview"):
        raise UsageError("--strict keeps an update to what its preview says, and --skip-preview leaves that out")
    if arguments.flag("strict") and arguments.value("plan"):
        raise UsageError("--strict makes a plan of its own: give it or --plan, not both")


def display_options(context: Context, kind: Kind, stack: str, *, preview: bool) -> DisplayOptions:
    """How much is shown. Raises UsageError for a --color that is none."""
    arguments = context.arguments
    return DisplayOptions(
        kind=kind.value,
        project=context.project.name,
        stack=stack,
        preview=preview,
        colour=_colour(context),
        diff=arguments.flag("diff"),
        sames=arguments.flag("show-sames"),
        reads=arguments.flag("show-reads"),
        config=arguments.flag("show-config"),
        full=arguments.flag("show-full-output"),
        replacement_steps=arguments.flag("show-replacement-steps"),
        outputs=not arguments.flag("suppress-outputs"),
        progress=not arguments.flag("suppress-progress"),
        debug=arguments.flag("debug"),
        policy_remediations=arguments.flag("show-policy-remediations") or arguments.flag("diff"),
    )


def _colour(context: Context) -> bool:
    wanted = context.arguments.value("color", "auto")
    if wanted not in {"always", "never", "raw", "auto"}:
        raise UsageError(f"--color is always, never, raw or auto, not '{wanted}'")
    if wanted != "auto":
        return wanted == "always"
    return context.streams.stdout.isatty() and not context.environment.get("NO_COLOR")
