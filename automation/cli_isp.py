"""`tenantry isp ...`: what is only for ISPs. Heavy imports wait until a command needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automation.cli_support import Output

app = typer.Typer(help="ISPs: what they are given, and the measuring of what they use.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.command()
def size(
    customers: Annotated[int, typer.Option("--customers", help="How many customers it serves, from 50.")],
    plan: Annotated[str, typer.Option("--plan", help="standard, premium or enterprise.")],
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", help="Something it can do beside its core. May be given again.", show_default=False),
    ] = None,
    cpu: Annotated[float | None, typer.Option("--cpu", help="Cores, in place of those computed.")] = None,
    memory: Annotated[float | None, typer.Option("--memory", help="GB, in place of those computed.")] = None,
    storage: Annotated[float | None, typer.Option("--storage", help="GB, in place of those computed.")] = None,
    connections: Annotated[
        int | None, typer.Option("--connections", help="Connections, in place of those computed.")
    ] = None,
    template: Annotated[str | None, typer.Option("--template", help="A template's id; else default-isp.")] = None,
    as_json: Json = False,
) -> None:
    """What an ISP would be given, and what counted: rules, cap (MAX_CPU_CORES ...) or a value given. Makes nothing."""
    from automation.cli_isp_size import show_size

    own = {"cpuCores": cpu, "memoryGb": memory, "storageGb": storage, "maxConnections": connections}
    output = Output(as_json=as_json)
    show_size(output, customers=customers, plan=plan, features=tuple(feature or ()), own=own, template=template)


@app.command()
def calibrate(
    customers: Annotated[
        str, typer.Option("--customers", help="Customer counts, with commas; every second is held out.")
    ] = "2000,4000,6000,8000,10000,12000,14000",
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=100, help="How often each is measured.")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=3600, help="How long each load lasts.")] = 30,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", help="Also measure this feature, or `all`. May be given again.", show_default=False),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the coefficients to this file, as YAML for a template.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure what customers and features use, by a load on the sample application, and fit the sizing to it.

    Exit code 11: further off than 5 % at a held-out count. Wants a quiet machine; ends all that it started.
    """
    from automation.cli_calibrate import Asked, run

    run(
        Output(as_json=as_json),
        Asked(customers=customers, repeat=repeat, seconds=seconds, features=tuple(feature or ()), write=write),
    )
