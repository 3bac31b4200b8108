"""The simulator's server: `python -m sandbox.railway.serve FOLDER PORT`.

Decides what a request gets, by GraphQL and HTTP.
"""

import json
import signal
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, build_schema, execute_sync, parse, validate

from sandbox.process import HOST, private
from sandbox.railway import PATH, WORKSPACE
from sandbox.railway.world import FIELDS, RefusedError, World


class Simulator(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, home: Path, port: int) -> None:
        self.token = (home / "token").read_text().strip()
        self.schema = _schema()
        self._file = home / "world.json"
        kept = json.loads(self._file.read_text()) if self._file.exists() else None
        self._world = World(WORKSPACE, kept)
        self._turn = threading.Lock()
        super().__init__((HOST, port), Handler)

    def answer(self, request: Any) -> tuple[HTTPStatus, dict[str, Any]]:
        """As Apollo's server, which Railway's is: what the schema does not allow is a bad request."""
        try:
            document = parse(request["query"])
            if errors := validate(self.schema, document):
                return HTTPStatus.BAD_REQUEST, {"errors": [error.formatted for error in errors]}
        except (GraphQLError, KeyError, TypeError) as error:
            return HTTPStatus.BAD_REQUEST, {"errors": [{"message": str(error)}]}
        with self._turn:
            result = execute_sync(
                self.schema, document, root_value=self._world, variable_values=request.get("variables") or {}
            )
            # A power cut must not leave half of it.
            partial = self._file.with_suffix(".new")
            private(partial, json.dumps(self._world.kept))
            partial.replace(self._file)
        return _said(result)


class Handler(BaseHTTPRequestHandler):
    server: Simulator
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != PATH:
            self._send(HTTPStatus.NOT_FOUND, {"errors": [{"message": "Not Found"}]})
        elif self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._send(HTTPStatus.OK, {"errors": [{"message": "Not Authorized"}], "data": None})
        else:
            try:
                request = json.loads(body)
            except ValueError:
                request = None
            self._send(*self.server.answer(request))

    def do_GET(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, {"errors": [{"message": "POST only"}]})

    def _send(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: a request holds secrets."""


def _schema() -> GraphQLSchema:
    schema = build_schema(Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
    for kind, names in FIELDS.items():
        made = schema.get_type(kind)
        for name in names:
            made.fields[name].resolve = _resolver(name)  # type: ignore[union-attr]
    return schema


def _resolver(name: str) -> Any:
    def resolve(world: World, _info: Any, **arguments: Any) -> Any:
        try:
            return getattr(world, name)(**arguments)
        except RefusedError as error:
            raise GraphQLError(str(error)) from None

    return resolve


def _said(result: ExecutionResult) -> tuple[HTTPStatus, dict[str, Any]]:
    if not result.errors:
        return HTTPStatus.OK, {"data": result.data}
    # A variable that its type does not allow has not been executed.
    status = HTTPStatus.OK if any(error.path for error in result.errors) else HTTPStatus.BAD_REQUEST
    return status, {"errors": [error.formatted for error in result.errors], "data": result.data}


def main(home: str, port: str) -> int:
    simulator = Simulator(Path(home), int(port))

    def end(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=simulator.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    with simulator:
        simulator.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
