"""A minimal client of the cluster's API server. I/O: HTTPS from inside the network namespace."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

from clusterlib.errors import Failure
from clusterlib.settings import API_PORT

TIMEOUT_SECONDS = 10
MANAGER = "kr8tiv-dev"


class Api:
    """Speaks as the user of a kubeconfig made by this package."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
        user = config["users"][0]["user"]
        self._context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        # The ssl module reads a client certificate from a file only.
        descriptor, name = tempfile.mkstemp()
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(base64.b64decode(user["client-key-data"]))
                stream.write(base64.b64decode(user["client-certificate-data"]))
            self._context.load_cert_chain(name)
        finally:
            os.unlink(name)

    def ready(self, path: str = "/readyz") -> bool:
        """Whether the server answers this path with 200."""
        try:
            return self._request("GET", path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """The object or list at `path`; None when there is none."""
        status, body = self._checked("GET", path)
        return None if status == 404 else json.loads(body)

    def apply(self, path: str, document: dict[str, Any]) -> None:
        """Server-side apply of one object at its own path."""
        self._checked("PATCH", f"{path}?fieldManager={MANAGER}&force=true", document, "application/apply-patch+yaml")

    def node_ready(self, name: str) -> bool:
        node = self.get(f"/api/v1/nodes/{name}")
        return node is not None and is_ready(node)

    def nodes(self) -> list[dict[str, Any]]:
        listed = self.get("/api/v1/nodes")
        return listed["items"] if listed else []

    def _checked(self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = "") -> tuple[int, bytes]:
        try:
            status, answer = self._request(method, path, body, kind)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"the API server does not answer {method} {path}: {error}") from error
        if status >= 300 and not (method == "GET" and status == 404):
            raise Failure(
                f"the API server refused {method} {path} with {status}: {answer.decode(errors='replace')[:500]}"
            )
        return status, answer

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", API_PORT, timeout=TIMEOUT_SECONDS, context=self._context)
        try:
            headers = {"Content-Type": kind} if kind else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def endpoint_ok(port: int, path: str, *, tls: bool = False, host: str = "127.0.0.1") -> bool:
    """Whether a component's health endpoint in this namespace answers 200."""
    connection: http.client.HTTPConnection
    if tls:
        # Self-signed on loopback, and asked for nothing but health.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
