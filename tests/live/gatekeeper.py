"""An HTTP proxy before an API: lets through what ClusterRoles allow, and fails as it is told to.

gatekeeper.py UPSTREAM TOKEN RULES FAULTS: prints its port. RULES: JSON, a list of rules; FAULTS:
JSON, a list of {"on": text in "METHOD PATH", "status": N or 0 for a reset, "times": N}.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

UPSTREAM, TOKEN = sys.argv[1:3]
RULES: list[dict[str, Any]] = json.loads(sys.argv[3])
FAULTS: list[dict[str, Any]] = json.loads(sys.argv[4])
PATH = re.compile(
    r"(?:/api/v1|/apis/(?P<group>[^/]+)/v1)(?:/namespaces/(?P<ns>[^/]+)(?=/.))?/(?P<rest>[^?]+)"
)
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}
REASONS = {403: "Forbidden", 429: "TooManyRequests", 500: "InternalError", 401: "Unauthorized"}
CONTEXT = ssl._create_unverified_context()


def wanted(method: str, path: str) -> tuple[str, str, str, str] | None:
    """Verb, group, resource and name of a request; None for what everybody may read."""
    found = PATH.match(path)
    if found is None:
        return None
    resource, _, name = found["rest"].partition("/")
    name, _, below = name.partition("/")
    verb = VERBS[method]
    if verb == "get" and not name:
        verb = "list"
    return verb, found["group"] or "", f"{resource}/{below}" if below else resource, name


def allowed(verb: str, group: str, resource: str, name: str) -> bool:
    return any(
        verb in rule["verbs"]
        and group in rule["apiGroups"]
        and resource in rule["resources"]
        and ("resourceNames" not in rule or name in rule["resourceNames"])
        for rule in RULES
    )


class Gate(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for fault in FAULTS:
            if fault["on"] in f"{self.command} {self.path}" and fault["times"] > 0:
                fault["times"] -= 1
                self.fail(fault["status"])
                return
        asked = wanted(self.command, self.path)
        if asked and not allowed(*asked):
            verb, group, resource, name = asked
            said = f'{resource} "{name}" is forbidden: User "jane" cannot {verb} resource'
            self.answer(403, "Forbidden", f'{said} "{resource}" in API group "{group}"')
            return
        headers = {
            key: value
            for key, value in self.headers.items()
            if key.lower() not in ("host", "connection", "content-length", "accept-encoding")
        }
        headers["Authorization"] = f"Bearer {TOKEN}"
        request = urllib.request.Request(
            UPSTREAM + self.path, data=body or None, headers=headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request, context=CONTEXT, timeout=20) as reply:
                self.pass_on(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                self.pass_on(error.code, error.headers, error.read())

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

    def fail(self, status: int) -> None:
        if status:
            self.answer(status, REASONS[status], "as told")
            return
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def answer(self, status: int, reason: str, message: str) -> None:
        value = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
        body = json.dumps(value | {"reason": reason, "message": message}).encode()
        self.pass_on(status, {"Content-Type": "application/json"}, body)

    def pass_on(self, status: int, headers: Any, body: bytes) -> None:
        self.send_response(status)
        for key in ("Content-Type",):
            if key in headers:
                self.send_header(key, headers[key])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
print(server.server_address[1], flush=True)
server.serve_forever()
