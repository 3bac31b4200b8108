"""How an Odoo refuses: 200 with an error, whose `data.name` is the name of its exception [envelope], [error-form]."""

from typing import Any

from sandbox.http import Answer

_EXCEPTIONS = "odoo.exceptions"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the simulator
    """`name` is module and class of Odoo's exception."""

    def __init__(self, name: str, message: str, *, code: int = 200) -> None:
        super().__init__(name, message)
        self.name, self.message, self.code = name, message, code

    def answer(self, number: Any) -> Answer:
        data = {
            "name": self.name,
            # A real one holds a traceback, which nobody is to be shown.
            "debug": f"Traceback (most recent call last):\n{self.name}: {self.message}\n",
            "message": self.message,
            "arguments": [self.message],
            "context": {},
        }
        words = "404: Not Found" if self.code == 404 else "Odoo Server Error"
        return Answer(
            body={"jsonrpc": "2.0", "id": number, "error": {"code": self.code, "message": words, "data": data}}
        )


class NotLoaded(Exception):  # noqa: N818 - as above
    """What `load` has refused: all is undone, and the answer says so without an error [load-refuses]."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def result(self) -> dict[str, Any]:
        row = {"type": "error", "message": self.message, "rows": {"from": 0, "to": 0}, "record": 0}
        return {"ids": False, "messages": [row], "nextrow": 0}


def invalid(message: str) -> Refusal:
    return Refusal(f"{_EXCEPTIONS}.ValidationError", message)


def user_error(message: str) -> Refusal:
    return Refusal(f"{_EXCEPTIONS}.UserError", message)


def denied(message: str) -> Refusal:
    return Refusal(f"{_EXCEPTIONS}.AccessError", message)


def gone() -> Refusal:
    return Refusal(f"{_EXCEPTIONS}.MissingError", "Record does not exist or has been deleted.")


def no_login() -> Refusal:
    return Refusal(f"{_EXCEPTIONS}.AccessDenied", "Access Denied")


def pythons(error: Exception) -> Refusal:
    """What nobody thought of is an error of Python's own."""
    return Refusal(f"builtins.{type(error).__name__}", str(error))
