"""How n8n refuses: what its public API, its web server and its internal API each say."""

from typing import Any

from sandbox.http import HTML, Answer


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the simulator
    """An answer other than the wanted one."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = {"message": body} if isinstance(body, str) else body


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
