"""What is drawn from to spoil a request: words, numbers, names, bytes, paths, queries, headers."""

from __future__ import annotations

from collections.abc import Mapping

WORDS = (
    *("", "one", "two", "web", "a.b/c", "-", "A_b", "x" * 300, "é😀", "\ud800", "\0", "None"),
    *("TCP", "UDP", "Local", "Cluster", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    *("10.43.0.7", "10.43.0.0", "10.42.0.7", "fd00::1", "::ffff:1.2.3.4", "010.0.0.1", "0.0.0.0"),
    *("10.0.0.0/8", "10.0.0.1/8", "0/0", "IPv4", "IPv6", "FQDN", "SingleStack", "RequireDualStack"),
    *("True", "False", "Exists", "In", "NotIn", "Gt", "Equal", "NoExecute", "25%", "-1%", "²%"),
    *("2026-01-01T00:00:00Z", "2026-13-99T99:99:99Z", "9999-12-31T23:59:59+23:59", "1Gi", "1e9999"),
    *(
        "RollingUpdate",
        "Recreate",
        "OnDelete",
        "Always",
        "http",
        "kubernetes",
        "foregroundDeletion",
    ),
    *("default", "kube-system", "metadata.name", "status.phase", "PreferSameZone", "ClientIP"),
    *("FieldsV1", "Apply", "Update", "a", "f:spec", "f:x", ".", "k:{}", "k:x", "v:1", "k:[1]"),
)
TIMES = ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59",
         "2026-02-31T24:61:61Z", "2026-01-01T00:00:00.000001Z")  # fmt: skip
NUMBERS = (0, 1, -1, 80, 30080, 30085, 32767, 65535, 65536, 86400, 2**31 - 1, 2**31, 2**63 - 1,
            2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 5e-324)  # fmt: skip
NAMES = (*("one",) * 24, "two", "two", "three", "kubernetes", "x" * 64, "A_b", "é", "..", "")
DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/ports", "$deleteFromPrimitiveList/args",
               "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers")  # fmt: skip
POINTERS = ("", "/", "/metadata", "/metadata/name", "/spec", "/spec/ports", "/spec/ports/-",
             "/spec/ports/0", "/spec/ports/0/nodePort", "/spec/ports/1000000000", "/spec/ports/-1",
             "/metadata/labels/a~1b", "/metadata/labels/app", "/a~2b", "no-slash", "/status",
             "/spec/replicas", "/data/key", "/spec/ports/01", "/kind", "/apiVersion")  # fmt: skip
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test", "explode")
BYTES = (b"", b"{", b"null", b"[]", b'"text"', b"NaN", b'{"a":NaN}', b'{"a":1,"a":2}', b"\xff\xfe",
          b"\xef\xbb\xbf{}", b"k8s\0", b"k8s\0\n\x02v1", b"[" * 100_000, b'{"a":' * 5000, b"{} {}",
          b"a: &a [*a]", b"a: *b", b"--- 1\n--- 2", b"1e400", b"9" * 5000, b"\0", b"x" * (3 << 20),
          b"x" * ((3 << 20) + 1), b"[" * 150 + b"]" * 150,
         b'{"metadata":{"name":"one"},"data":{"a":1e400}}',
         b"metadata: {name: one, labels: {1: a, on: b, ~: c, [d]: e, 2026-01-01: f}}",
         b"metadata: {name: one}\nspec: {replicas: .inf, a: .nan}",
         b"metadata: {name: one, managedFields: [{fieldsV1: " + b"{a: " * 150 + b"}" * 150 + b"}]}",
         b"!!python/object:os.system {}", b'"\\ud800"')  # fmt: skip
QUERIES: Mapping[str, tuple[str, ...]] = {
    "limit": ("0", "1", "2", "-1", "a", "9" * 30, "", "1.5", "٣", "²", "0" * 5000),
    "continue": ("", "a", "AAAA", "WyIyIiwgIiIsICJvbmUiXQ==", "W10=", "%00", "é", "bnVsbA=="),
    "resourceVersion": ("", "0", "1", "5", "999999999", "-1", "a", "0x1", "9" * 30, "²", "1e3",
                        "0" * 5000),
    "resourceVersionMatch": ("", "Exact", "NotOlderThan", "nonsense"),
    "fieldSelector": ("", "metadata.name=one", "metadata.name!=one", "a=b", "=", "metadata.name",
                      "status.phase=Active", "spec.nodeName=", ",,", "metadata.name=a,b"),
    "labelSelector": ("", "app=web", "app in (web", "!app", "app notin (a,b)", "a>1", "a>b", "((",
                      "app==web,tier", "é=é", "a=b=c", ",", "x" * 5000),
    "timeoutSeconds": ("0", "1", "-1", "a", "99999999999999999999"),
    "watch": ("", "0", "1", "true", "false", "maybe"),
    "allowWatchBookmarks": ("true", "false"),
    "sendInitialEvents": ("true", "false", ""),
    "dryRun": ("", "All", "None", "all"),
    "fieldValidation": ("", "Strict", "Warn", "Ignore", "strict"),
    "fieldManager": ("", "fuzz", "x" * 200, "\0"),
    "force": ("", "true", "false", "maybe"),
    "includeObject": ("None", "Metadata", "Object", "nonsense"),
    "gracePeriodSeconds": ("0", "-1", "30", "a", "9" * 30),
    "propagationPolicy": ("Orphan", "Foreground", "Background", "nonsense"),
    "orphanDependents": ("true", "maybe"),
    "pretty": ("true",),
    "container": ("", "whoami", "two"),
    "tailLines": ("0", "-1", "a", "2"),
    "limitBytes": ("0", "1", "a"),
    "sinceTime": ("a", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"),
    "sinceSeconds": ("0", "-1", "9" * 15),
}  # fmt: skip
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
HEADERS: Mapping[str, tuple[str, ...]] = {
    "accept": (*(_TABLE,) * 12, f"{_TABLE},application/json", "*/*", "text/html", "", ";;;", "é",
               "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
               "application/vnd.kubernetes.protobuf,application/json", "application/yaml",
               "application/json;as=Table;v=v1beta1;g=meta.k8s.io", "x" * 9000),
    "authorization": ("", "Bearer", "Bearer wrong", "Basic YTpi", "é"),
    "host": ("", "evil.example", "127.0.0.1", "127.0.0.1:6443:1", "é"),
    "origin": ("https://127.0.0.1:6443", "https://evil.example", "null", ""),
    "content-length": ("-1", "0", "a", "9" * 30),
    "upgrade": ("SPDY/3.1", "websocket"),
}  # fmt: skip
PATHS = ("/", "//", "/api", "/apis", "/version", "/healthz", "/readyz/ping", "/openapi/v2",
          "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1", "/openapi/v3/x",
          "/api/v1", "/api/v9", "/apis/apps", "/apis/none", "/apis/apps/v1", "/../etc/passwd",
          "/api/v1/namespaces/default", "/api/v1/namespaces/default/finalize", "/metrics",
          "/api/v1/namespaces/default/pods/one/exec/more", "/é", "/\0", "/" + "a/" * 3000,
          "/api/v1/namespaces//pods", "/api/v1/namespaces/default/nodes/one")  # fmt: skip
