"""The Docker SDK's low-level client, and the two calls that it has no method for. Imported only to call."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docker import APIClient


class Api(APIClient):  # type: ignore[misc] # the SDK has no types
    def change_container(self, container_id: str, body: Mapping[str, Any]) -> None:
        """Like `update_container`, which has no `NanoCpus`."""
        answer = self._post_json(self._url("/containers/{0}/update", container_id), data=dict(body))
        self._result(answer, True)

    def build_archive(
        self, archive: Any, options: Mapping[str, Any], auths: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Like `build`, which knows only the first builder: `options` are the query of POST /build."""
        from docker.auth import encode_header

        headers = {"Content-Type": "application/x-tar"}
        if auths:
            headers["X-Registry-Config"] = encode_header(auths)
        params = {
            name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in options.items()
        }
        answer = self._post(self._url("/build"), data=archive, params=params, headers=headers, stream=True)
        yield from self._stream_helper(answer, decode=True)
