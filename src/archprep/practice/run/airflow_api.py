"""Airflow's REST API, as far as `archprep run` asks for it."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode

PAGE = 100  # the most that Airflow gives at once
ANSWER_SECONDS = 30.0


class ApiError(Exception):
    """The API answered, but with an error."""


PASSING = (ApiError, OSError, http.client.HTTPException)  # it may be busy: ask again


class Api:
    """A client of an Airflow on this machine, in which everybody is an administrator."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._token = ""
        self._token = self._ask("GET", "/auth/token")["access_token"]

    def get(self, *path: str, **query: Any) -> Any:
        """What stands at a path below /api/v2."""
        return self._ask("GET", _below(path, query))

    def pages(self, *path: str, found: str, **query: Any) -> list[Any]:
        """All of a collection, page by page."""
        items: list[Any] = []
        while True:
            answer = self.get(*path, limit=PAGE, offset=len(items), **query)
            items += answer[found]
            if not answer[found] or len(items) >= answer["total_entries"]:
                return items

    def post(self, *path: str, body: dict[str, Any]) -> Any:
        """Create something."""
        return self._ask("POST", _below(path, {}), body)

    def patch(self, *path: str, body: dict[str, Any]) -> Any:
        """Change something."""
        return self._ask("PATCH", _below(path, {}), body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        # Not urllib.request: it would ask a proxy.
        asking = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            asking.request(method, path, json.dumps(body) if body else None, headers)
            answer = asking.getresponse()
            content = answer.read()
        finally:
            asking.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(f"{answer.status} {content.decode(errors='replace')}")
        return json.loads(content)


def _below(path: tuple[str, ...], query: dict[str, Any]) -> str:
    parts = "/".join(quote(part, safe="") for part in path)
    return f"/api/v2/{parts}" + (f"?{urlencode(query, doseq=True)}" if query else "")
