"""The steps of one run as a picture: when each began, and how long it took. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from benchmarks.figures import SpanFigure

_LEFT, _WIDTH, _ROW, _TOP = 250, 640, 34, 56
_COLOURS = ("#0f766e", "#0369a1", "#7c3aed", "#b45309", "#be123c", "#15803d", "#4338ca", "#475569")


def picture(spans: Sequence[SpanFigure], *, title: str) -> str:
    """An SVG of the spans on one axis of seconds, readable on light and on dark."""
    end = max((one.start + one.seconds for one in spans), default=1.0) or 1.0
    scale = _WIDTH / end
    height = _TOP + _ROW * len(spans) + 40
    total = _LEFT + _WIDTH + 110
    told = "; ".join(f"{one.title}: {one.seconds:.2f} s from second {one.start:.2f}" for one in spans)
    head = 'role="img" aria-labelledby="title desc" font-family="Helvetica, Arial, DejaVu Sans, sans-serif"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" {head}>',
        f'<title id="title">{html.escape(title)}</title><desc id="desc">{html.escape(told)}</desc>',
        f'<rect width="{total}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="30" font-size="17" font-weight="700" fill="#0f172a">{html.escape(title)}</text>',
        *(_tick(second, scale, height) for second in range(math.floor(end) + 1)),
        *(_bar(row, one, scale) for row, one in enumerate(spans)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _tick(second: int, scale: float, height: int) -> str:
    x = round(_LEFT + second * scale, 1)
    return (
        f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 32}" stroke="#cbd5e1"/>'
        f'<text x="{x}" y="{height - 14}" font-size="12" text-anchor="middle" fill="#475569">{second} s</text>'
    )


def _bar(row: int, span: SpanFigure, scale: float) -> str:
    y = _TOP + row * _ROW
    x, width = round(_LEFT + span.start * scale, 1), max(2.0, round(span.seconds * scale, 1))
    colour = _COLOURS[row % len(_COLOURS)]
    return (
        f'<text x="{_LEFT - 12}" y="{y + 16}" font-size="13" text-anchor="end" fill="#0f172a">'
        f"{html.escape(span.title)}</text>"
        f'<rect x="{x}" y="{y}" width="{width}" height="22" rx="4" fill="{colour}"/>'
        f'<text x="{round(x + width + 6, 1)}" y="{y + 16}" font-size="12" fill="#334155">{span.seconds:.2f} s</text>'
    )
