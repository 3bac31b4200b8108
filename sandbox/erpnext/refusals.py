"""How an ERPNext refuses: a status, an exc_type, and messages in the form of its desk.

Decides which status belongs to which exc_type; never when something is refused.
"""

import json
from html import escape
from typing import Any

from sandbox.http import HTML, Answer

STATUS = {
    "AuthenticationError": 401,
    "PermissionError": 403,
    "DoesNotExistError": 404,
    "DuplicateEntryError": 409,
    "TooManyRequestsError": 429,
    "SessionStopped": 503,
    # Errors of Python itself, which nobody meant.
    "ImportError": 500,
    **dict.fromkeys(("AttributeError", "IndexError", "KeyError", "TypeError", "ValueError"), 500),
}


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the simulator
    """An answer other than the wanted one. What is no error of Python's own is 417, as all of Frappe's validation."""

    def __init__(self, exc_type: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(exc_type, message)
        self.exc_type = exc_type
        self.message = message
        self.status = STATUS.get(exc_type, 417)
        self.headers = headers or {}

    def answer(self, *, as_json: bool, tracebacks: bool) -> Answer:
        """[error-form], [accept], [traceback]."""
        if not as_json:
            page = f"<!DOCTYPE html>\n<title>{self.exc_type}</title>\n<p>{escape(self.message)}</p>\n"
            return Answer(status=self.status, body=page, content_type=HTML, headers=self.headers)
        body: dict[str, Any] = {"exc_type": self.exc_type}
        if tracebacks and self.status != 404:
            body["exception"] = f"frappe.exceptions.{self.exc_type}: {self.message}"
            body["exc"] = json.dumps([f"Traceback (most recent call last):\n{body['exception']}\n"])
        # One that Frappe did not raise itself has no message for the desk.
        if self.status != 500:
            said = {"message": self.message, "title": "Message", "indicator": "red", "raise_exception": 1}
            body["_server_messages"] = json.dumps([json.dumps(said)])
        return Answer(status=self.status, body=body, headers=self.headers)


def invalid(message: str) -> Refusal:
    return Refusal("ValidationError", message)
