"""The page, from what the parts say. Pure."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{tenant}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ margin: 0 auto; max-width: 46rem; padding: 2rem 1rem; }}
h1 {{ font-size: 1.6rem; margin: 0 0 .25rem; }}
h2 {{ font-size: 1.1rem; margin: 0; display: flex; justify-content: space-between; gap: 1rem; }}
section {{ border: 1px solid #8886; border-radius: .5rem; margin-top: 1rem; padding: 1rem; }}
dl {{ display: grid; gap: .15rem 1rem; grid-template-columns: max-content 1fr; margin: .5rem 0 0; }}
dt {{ opacity: .75; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>{tenant}</h1>
<p>This department's application runs, with what it was given.</p>
{sections}
</main>
</body>
</html>
"""
_TABLE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body><main><h1>{title}</h1><dl>{cells}</dl></main></body>
</html>
"""
_TITLES = {"database": "Database", "credential": "Credential", "route": "Route"}


def page(tenant: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    sections = "\n".join(_section(_TITLES[name], part) for name, part in parts.items())
    return _PAGE.format(tenant=html.escape(tenant), sections=sections)


def table_page(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """A page with one table of words and values."""
    cells = "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(value)}</dd>" for word, value in rows)
    return _TABLE.format(title=html.escape(title), cells=cells)


def _section(title: str, part: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{html.escape(name.replace('_', ' '))}</dt><dd>{html.escape(_word(value))}</dd>"
        for name, value in part.items()
        if name not in {"ok", "given"}
    )
    return f"<section><h2><span>{title}</span><span>{_state(part)}</span></h2><dl>{rows}</dl></section>"


def _state(part: Mapping[str, Any]) -> str:
    if not part.get("given", True):
        return "not given"
    return "works" if part["ok"] else "does not work"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in {None, ""} else str(value)
