"""What a page offers, read as a program that crawls it would: links, forms, and what must not be in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Sheet:
    """One page. `forms` are (method, action, its hidden fields); `wrong` is what breaks the page's own rules."""

    title: str = ""
    links: list[str] = field(default_factory=list)
    forms: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def read_page(text: str) -> Sheet:
    """Reads a page's HTML."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    for tag in ("main", "h1"):
        if reader.counts.get(tag) != 1:
            reader.sheet.wrong.append(f"{reader.counts.get(tag, 0)} <{tag}>")
    if not reader.sheet.title.strip(" ·"):
        reader.sheet.wrong.append("no title")
    return reader.sheet


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet()
        self.counts: dict[str, int] = {}
        self._in_title = False
        self._table: dict[str, bool] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self._in_title = tag == "title" and self.counts[tag] == 1
        if inline := [name for name in has if name == "style" or name.startswith("on")]:
            self.sheet.wrong.append(f"<{tag}> has {inline}")
        if tag == "style" or (tag == "script" and "src" not in has):
            self.sheet.wrong.append(f"inline <{tag}>")
        if has.get("href", "").lower().startswith(("javascript:", "data:")):
            self.sheet.wrong.append(f"<{tag}> leads to {has['href']}")
        match tag:
            case "html" if not has.get("lang"):
                self.sheet.wrong.append("no language")
            case "a" if "href" in has:
                self.sheet.links.append(has["href"])
            case "form":
                self.sheet.forms.append((has.get("method", "get").upper(), has.get("action", ""), {}))
            case "input" if has.get("type") == "hidden" and self.sheet.forms:
                self.sheet.forms[-1][2][has.get("name", "")] = has.get("value", "")
            case "table":
                self._table = {"caption": False}
            case "caption":
                self._table["caption"] = True
            case "th" if has.get("scope") not in {"col", "row"}:
                self.sheet.wrong.append("a header of a table without a scope")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.sheet.title += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag == "table" and not self._table.get("caption"):
            self.sheet.wrong.append("a table without a caption")
