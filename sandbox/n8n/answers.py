"""What the simulator is asked and what it answers, apart from any HTTP library."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the simulator
    """An answer other than the wanted one."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = {"message": body} if isinstance(body, str) else body


class BadBodyError(Exception):
    """The body of a request is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        """What the body says; nothing is an empty mapping. Raises BadBodyError."""
        if not self.body.strip():
            return {}
        try:
            return json.loads(self.body)
        except ValueError:
            raise BadBodyError from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: Any = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        if self.content_type == JSON:
            return json.dumps(self.body, ensure_ascii=False).encode()
        return str(self.body or "").encode()


def page(status: int, words: str) -> Answer:
    """An error as n8n's web server shows it before its API is asked."""
    body = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n'
        f"<pre>{words}</pre>\n</body>\n</html>\n"
    )
    return Answer(status=status, body=body, content_type=HTML)


def traced(status: int, message: str, *, code: int | None = None, hint: str | None = None) -> Refusal:
    """A refusal of the internal API or of a webhook, which shows where in n8n it was raised."""
    said = {"code": status if code is None else code, "message": message}
    if hint is not None:
        said["hint"] = hint
    return Refusal(status, said | {"stacktrace": f"ResponseError: {message}\n    at the simulator"})
