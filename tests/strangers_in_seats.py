"""Programs in the seats of kube-proxy and the control plane: the real ones of `SECONDHOP_KUBE_BIN`,
and stand-ins that only play what the lab must be able to bear."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

VARIABLE = "SECONDHOP_KUBE_BIN"


def kube_bin(*programs: str) -> Path:
    """The folder with the real programs. Skips the test where there is none."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder with {', '.join(programs)}")
    found = Path(folder).absolute()
    missing = [name for name in programs if not os.access(found / name, os.X_OK)]
    assert not missing, f"{VARIABLE}={folder} lacks {', '.join(missing)}"
    return found


def program(path: Path, text: str) -> Path:
    """An executable Python script."""
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


VERSION = """\
import sys
if sys.argv[1:] == ["--version"]:
    print("Kubernetes v1.36.0")
    sys.exit()
"""

IDLE_PROXY = (
    VERSION
    + '''
"""kube-proxy's manners without its work: it asks for everything, and writes no rule."""
import base64, http.server, json, re, ssl, threading, time, urllib.request

config = json.load(open(sys.argv[1].removeprefix("--config=")))
text = open(config["clientConnection"]["kubeconfig"]).read()
said = dict(re.findall(r"(\\S+): (\\S+)", text))
authority = base64.b64decode(said["certificate-authority-data"]).decode()
tls = ssl.create_default_context(cadata=authority)
NAMES = "kubeproxy_sync_proxy_rules_last_%stimestamp_seconds %f\\n"
stamps = {"queued_": 0.0, "": 0.0}

def ask(path, query):
    url = f"{said['server']}{path}?{query}"
    accept = "application/vnd.kubernetes.protobuf, */*"
    headers = {"Authorization": f"Bearer {said['token']}", "Accept": accept}
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=tls)

def follow(path):
    query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
    for line in ask(path, query + "&resourceVersionMatch=NotOlderThan"):
        event = json.loads(line)
        print(event["type"], event["object"]["kind"], flush=True)
        stamps["queued_"] = stamps[""] = time.time()

class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = "".join(NAMES % each for each in stamps.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

for path in "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes":
    threading.Thread(target=follow, args=[path], daemon=True).start()
host, _, port = config["metricsBindAddress"].rpartition(":")
http.server.ThreadingHTTPServer((host, int(port)), Metrics).serve_forever()
'''
)

DYING = (
    VERSION
    + """
print("E1123 it is told nothing that it likes", file=sys.stderr)
sys.exit(3)
"""
)

DYING_WHEN_TOLD = (
    VERSION
    + """
import pathlib, time
while not pathlib.Path(__file__).with_name("end").exists():
    time.sleep(0.02)
print("E1123 it was told to end", file=sys.stderr)
sys.exit(3)
"""
)
"""It ends when a file `end` stands beside it."""
