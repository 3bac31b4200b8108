"""`python -m benchmarks`: measures, writes RESULTS.md, and prints the tables or, with --json, raw figures.

Exit code 0 when all was measured, met or not: a slow machine is no failure. 1 when something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from automation.errors import TenantryError
from benchmarks import (
    cabinets,
    departments,
    engine,
    fleet,
    gateway,
    isps,
    page,
    pos,
    recorded,
    service,
    stacks,
    timeline,
)
from benchmarks.environment import temporary_folder
from benchmarks.figures import Figure, Section, SpanFigure
from benchmarks.machine import describe
from benchmarks.process import CommandFailedError
from providers.errors import ProviderError
from sandbox.errors import SandboxError

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
NAMES = (
    *("engine", "recorded", "stacks", "cabinets", "fleet", "service", "gateway", "departments", "isps", "isps-rough"),
    "pos",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _ended)
    stock = Path(options.stock).resolve() if options.stock else _found(shutil.which("pulumi"))
    if stock is not None and not stock.is_file():
        print(f"benchmarks: there is no executable {options.stock}: correct --stock, or leave it out", file=sys.stderr)
        return 2
    sections: list[Section] = []
    try:
        for name in options.only or NAMES:
            section = _measured(name, stock, quick=options.quick)
            sections.append(section)
            text = page.render(section)
            if options.page:
                _write(options.page, name, text)
                _draw(options.page, section)
            if not options.json:
                print(f"{text}\n")
    except (CommandFailedError, ProviderError, SandboxError, TenantryError, page.PageError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: stopped; its servers and folders are gone", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps([section.to_dict() for section in sections], indent=2))
    return 0


def _measured(name: str, stock: Path | None, *, quick: bool) -> Section:
    machine = describe()
    with temporary_folder() as folder:
        figures: Sequence[Figure]
        match name:
            case "engine":
                figures = engine.measure(folder, stock, quick=quick, say=_say)
            case "recorded":
                figures = recorded.measure(folder, quick=quick, say=_say)
            case "stacks":
                figures = stacks.measure(folder, quick=quick, say=_say)
            case "cabinets":
                figures = cabinets.measure(folder, quick=quick, say=_say)
            case "fleet":
                figures = fleet.measure(folder, quick=quick, say=_say)
            case "gateway":
                figures = gateway.measure(folder, quick=quick, say=_say)
            case "departments":
                figures = departments.measure(folder, quick=quick, say=_say)
            case "isps":
                figures = isps.measure(folder, quick=quick, say=_say)
            case "isps-rough":
                figures = isps.measure_rough(folder, quick=quick, say=_say)
            case "pos":
                figures = pos.measure(folder, quick=quick, say=_say)
            case _:
                figures = service.measure(folder, quick=quick, say=_say)
        return Section(name=name, machine=machine, quick=quick, figures=figures)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures speed and memory.")
    parser.add_argument("--quick", action="store_true", help="few repetitions and a small fleet: about ten minutes")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure only this; may be given again")
    parser.add_argument("--stock", metavar="PATH", help="the stock `pulumi`; without it, the one on PATH if any")
    parser.add_argument("--json", action="store_true", help="print the raw figures as one JSON document")
    parser.add_argument("--page", type=Path, default=RESULTS, metavar="FILE", help="the page to write into")
    parser.add_argument("--no-page", dest="page", action="store_const", const=None, help="write no page")
    return parser.parse_args(arguments)


def _write(path: Path, name: str, text: str) -> None:
    before = path.read_text(encoding="utf-8") if path.is_file() else "# Results\n"
    path.write_text(page.replaced(before, name, text), encoding="utf-8")


def _draw(path: Path, section: Section) -> None:
    spans = [one for one in section.figures if isinstance(one, SpanFigure)]
    if spans:
        text = timeline.picture(spans, title="Where the time of a new department goes")
        picture = path.parent / page.PICTURE
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(text, encoding="utf-8")


def _found(path: str | None) -> Path | None:
    return Path(path).resolve() if path else None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ended(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
