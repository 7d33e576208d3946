"""A client for the part of Airflow's REST API that `archprep run` needs."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode

PAGE = 100  # the largest that Airflow returns
TIMEOUT_SECONDS = 30.0


class ApiError(Exception):
    """The API answered with an error."""


TRANSIENT = (ApiError, OSError, http.client.HTTPException)  # Airflow may be busy: try again


class AirflowApi:
    """A client of a local Airflow in which every user is an administrator."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._token = ""
        self._token = self._send("GET", "/auth/token")["access_token"]

    def get(self, *path: str, **query: Any) -> Any:
        """Return the resource at a path below /api/v2."""
        return self._send("GET", _url(path, query))

    def get_all(self, *path: str, key: str) -> list[Any]:
        """Return a whole collection, which each page has under `key`."""
        items: list[Any] = []
        while True:
            page = self.get(*path, limit=PAGE, offset=len(items))
            items += page[key]
            if not page[key] or len(items) >= page["total_entries"]:
                return items

    def post(self, *path: str, body: dict[str, Any]) -> Any:
        """Create a resource and return it."""
        return self._send("POST", _url(path, {}), body)

    def patch(self, *path: str, body: dict[str, Any]) -> Any:
        """Change a resource and return it."""
        return self._send("PATCH", _url(path, {}), body)

    def _send(self, method: str, url: str, body: dict[str, Any] | None = None) -> Any:
        # Not urllib.request, which would use the user's proxy.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request(method, url, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(f"{answer.status} {content.decode(errors='replace')}")
        return json.loads(content)


def _url(path: tuple[str, ...], query: dict[str, Any]) -> str:
    escaped = "/".join(quote(segment, safe="") for segment in path)
    return f"/api/v2/{escaped}" + (f"?{urlencode(query)}" if query else "")
