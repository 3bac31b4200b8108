"""`pulumi import`, and the file that `preview --import-file` writes: from a command line to imports, and to code."""

from __future__ import annotations

from collections.abc import Iterable

from engine.cli_operations import run_import
from engine.errors import UsageError
from engine.files import write_atomic
from engine.import_code import python_program
from engine.import_file import ImportFile, Resolved, inline, loads, of_preview, resolve
from engine.operation import Event
from engine.resource import make_urn
from engine.workspace import Context

_COPY = (
    "Please copy the following code into your Pulumi application. Not doing so\n"
    "will cause Pulumi to report that an update will happen on the next update command.\n"
)
_PROTECTED = (
    "Please note that the imported resources are marked as protected. To destroy them\n"
    "you will need to remove the `protect` option and run `pulumi update` *before*\n"
    "the destroy will take effect.\n"
)


def import_(context: Context) -> int:
    """Takes the objects in; then writes the code of those that are in the state now, also after a failure."""
    arguments = context.arguments
    file = _file(context)
    generate, out = arguments.flag("generate-code", default=True), arguments.value("out")
    if out and not generate:
        context.streams.stderr.write("Output file will not be used as --generate-code is false.\n")
    if out:
        # Who reads the file finds one, whatever becomes of the import.
        write_atomic(context.cwd / out, b"")
    stack = context.stack()
    resolved = resolve(
        file,
        stack=stack.ref.name,
        project=context.project.name,
        protect=arguments.flag("protect", default=True),
    )
    if not resolved.imports:
        raise UsageError("the import file names no resources")
    code = run_import(context, resolved.imports)
    if generate and not arguments.flag("preview-only"):
        _write_code(context, resolved, out)
    return code


def _file(context: Context) -> ImportFile:
    arguments = context.arguments
    name, words = arguments.value("file"), arguments.positional
    properties = tuple(p for text in arguments.many("properties") for p in text.split(",") if p)
    parent, provider = arguments.value("parent"), arguments.value("provider")
    if name:
        if words or parent or provider or properties:
            raise UsageError("an inline resource may not be specified in conjunction with an import file")
        try:
            text = (context.cwd / name).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"could not read import file: open {name}: {error.strerror}") from error
        return loads(text)
    missing = {0: "type, name, and id", 1: "name and id", 2: "id"}.get(len(words))
    if missing:
        raise UsageError(
            f"an inline resource must be specified if no converter or import file is used, missing {missing}"
        )
    return inline(words, properties=properties, parent=parent, provider=provider)


def _write_code(context: Context, resolved: Resolved, out: str) -> None:
    runtime = context.project.runtime
    if runtime != "python":
        context.streams.stderr.write(
            f"warning: no code is generated: the embedded engine writes Python only, and this project's runtime is "
            f"'{runtime}'. Use --generate-code=false to say so.\n"
        )
        return
    stack, protect = context.stack(), context.arguments.flag("protect", default=True)
    wanted = {
        make_urn(stack.ref.name, context.project.name, wanted.parent, wanted.type, wanted.name)
        for wanted in resolved.imports
    }
    states = [s for s in stack.read().resources if s.urn in wanted and not s.delete]
    for state in states:
        state.protect = protect
    if not states:
        return
    text = python_program(states, resolved.names)
    if out:
        write_atomic(context.cwd / out, text.encode("utf-8"))
    elif not context.arguments.flag("json"):
        context.say(_COPY)
        if protect:
            context.say(_PROTECTED)
        context.say(text)


def write_preview(context: Context, events: Iterable[Event]) -> None:
    """The file of the resources that a preview would create, where one is asked for."""
    name = context.arguments.value("import-file")
    if name:
        write_atomic(context.cwd / name, of_preview(events).dumps().encode("utf-8"))
