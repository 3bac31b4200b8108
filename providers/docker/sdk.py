"""The Docker SDK: what is used of it, and the two calls that its low-level client has no method for.

Only this module imports it, and only late: two threads that load it by different doors at once can each meet it half
loaded, since its modules import one another in a circle.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docker import APIClient, auth, errors
from docker.tls import TLSConfig
from docker.utils import parse_repository_tag
from docker.utils.build import exclude_paths
from requests import exceptions

__all__ = ["Api", "TLSConfig", "auth", "errors", "exceptions", "exclude_paths", "parse_repository_tag"]


class Api(APIClient):  # type: ignore[misc] # the SDK has no types
    def merge_environment_settings(self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        # Otherwise REQUESTS_CA_BUNDLE would count before the authority that the configuration names.
        return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)

    def change_container(self, container_id: str, body: Mapping[str, Any]) -> None:
        """Like `update_container`, which has no `NanoCpus`."""
        answer = self._post_json(self._url("/containers/{0}/update", container_id), data=dict(body))
        self._result(answer, True)

    def build_archive(
        self, archive: Any, options: Mapping[str, Any], auths: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Like `build`, which knows only the first builder: `options` are the query of POST /build."""
        headers = {"Content-Type": "application/x-tar"}
        if auths:
            headers["X-Registry-Config"] = auth.encode_header(auths)
        params = {
            name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in options.items()
        }
        answer = self._post(self._url("/build"), data=archive, params=params, headers=headers, stream=True)
        yield from self._stream_helper(answer, decode=True)
