"""Requests that no sane client sends, next to those that one does.

Each starts from something valid and spoils it at a few places, or builds an object from its kind's
schema with values that fit their types and nothing else. All comes from a seed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from random import Random
from typing import Any

from secondhop.apiserver.http.path import SERVED
from secondhop.apiserver.http.protobuf import _table
from secondhop.apiserver.kinds import KINDS, Kind
from secondhop.apiserver.schema import definitions, resolve
from secondhop.apiserver.server import Server

from . import encoding
from .asgi import Asked
from .corpus import valid
from .oddities import (
    BYTES,
    DIRECTIVES,
    HEADERS,
    NAMES,
    NUMBERS,
    OPERATIONS,
    PATHS,
    POINTERS,
    QUERIES,
    TIMES,
    WORDS,
)

_TABLE = _table()
_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_JSON, _YAML = "application/json", "application/yaml"
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_DEPTHS = (3, 40, 190, 210, 3000)


class Nonsense:
    """An endless source of requests to one server."""

    def __init__(self, seed: int, server: Server) -> None:
        self._random, self._server = Random(seed), server

    def story(self, length: int) -> Iterator[Asked]:
        """So many requests."""
        return (self.request() for _ in range(length))

    def request(self) -> Asked:
        """Anything that HTTP can carry to the API."""
        kind = self._any((*KINDS.values(), *KINDS.values(), *SERVED))
        name = self._any(NAMES)
        path, methods = self._place(kind, name)
        method = self._any(methods)
        if self._seldom(20):
            method = self._any(("GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "get", "é"))
        media, body = self._body(method, kind, name)
        if self._seldom(25):
            media = self._any((*self._patches, _JSON, _YAML, "", "text/plain", "nonsense", "é;é",
                               _PROTOBUF))  # fmt: skip
        query = self._query()
        if "apply" in media and not self._seldom(12):
            query = self._any(("fieldManager=a", "fieldManager=b", "fieldManager=a&force=true"))
        headers = [("content-type", media)]
        if self._seldom(4):
            headers.append(("accept", self._any(HEADERS["accept"])))
        if self._seldom(25):
            name = self._any([*HEADERS])
            headers.append((name, self._any(HEADERS[name])))
        return Asked(method, path, query, tuple(headers), body)

    # Places.

    def _place(self, kind: Kind, name: str) -> tuple[str, tuple[str, ...]]:
        """A path of a kind, or near one, and the methods that it may know."""
        if self._seldom(30):
            return self._any(PATHS), ("GET",)
        parts = [f"/apis/{kind.group}" if kind.group else "/api", kind.version]
        if kind.namespaced and not self._seldom(20):
            spaces = ("default",) * 20 + ("kube-public", "none", "é")
            parts += ["namespaces", self._any(spaces)]
        parts.append(kind.plural)
        methods: tuple[str, ...] = ("GET", "GET", *("POST",) * 7, "DELETE")
        if not self._seldom(3):
            parts.append(name)
            methods = ("GET", *("PUT",) * 4, *("PATCH",) * 6, "DELETE")
            if kind.subresources and self._seldom(3):
                part = self._any(kind.subresources)
                parts.append(part.name)
                methods = ("POST",) if part.verbs == ("create",) else ("GET", "PUT", "PATCH")
        if self._seldom(40):
            parts.insert(self._random.randrange(len(parts)), self._any(WORDS))
        return "/".join(parts), methods

    def _query(self) -> str:
        if self._seldom(50):
            return str(self._any(("&&&", "%", "%zz=%ff", "=", "a;b", "x" * 9000)))
        if self._seldom(2):
            return ""
        names = self._random.choices([*QUERIES], k=self._random.randrange(4))
        return "&".join(f"{name}={self._any(QUERIES[name])}" for name in names)

    # Bodies.

    def _body(self, method: str, kind: Kind, name: str) -> tuple[str, bytes]:
        """A media type, and bytes that may be of it."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return _JSON, b""
        if method == "DELETE":
            options = definitions()[_DELETE_OPTIONS]
            return _JSON, self._text({} if self._seldom(2) else self._fitting(options))
        if method == "PATCH":
            media = self._any([*self._patches])
            return media, self._text(self._patches[media](kind, name))
        value = self._stored(kind, name) if method == "PUT" else self._object(kind, name)
        if kind.kind in _TABLE and self._seldom(10):
            return _PROTOBUF, encoding.body(kind.api_version, kind.kind, self._message(kind.kind))
        return _JSON, self._text(value)

    def _text(self, value: Any) -> bytes:
        """A value as the text of a body, mostly whole."""
        try:
            text = json.dumps(value).encode()
        except RecursionError:
            text = b'{"spec":' * 20_000
        text = text.replace(b"5e-324", b"1e400")
        match self._random.randrange(60):
            case 0 | 1:
                return bytes(self._any(BYTES))
            case 2:
                return self._random.randbytes(40)
            case 3:
                return text[: self._random.randrange(len(text))]
            case 4:
                return text.replace(b"{", b'{"metadata":{"name":"one"},', 1)
            case 5:
                return text.replace(b":", b":\xc3(", 1)
            case 6:
                return b"k8s\0" + text
        return text

    def _message(self, name: str, depth: int = 6) -> bytes:
        """A protobuf message with some fields of its table, mostly of their types."""
        done = b""
        for number, field in self._random.choices([*_TABLE[name].items()], k=3):
            value: int | str | bytes = self._any(WORDS).encode(errors="replace")
            if field.type in ("int", "bool") or self._seldom(20):
                value = self._any((0, 1, 80, 30080, 2**31, 2**63, 2**64 - 1))
            elif field.type in _TABLE and depth and not self._seldom(20):
                value = self._message(field.type, depth - 1)
            done += encoding.part(number, value)
        return done[: self._random.randrange(len(done))] if self._seldom(12) else done

    def _object(self, kind: Kind, name: str) -> Any:
        """An object of a kind, or what was to be one."""
        if not self._seldom(3):
            return self._spoiled_some(valid(kind.kind), kind, name)
        value = self._fitting(definitions().get(kind.definition, {}))
        return self._named(value, name)

    def _stored(self, kind: Kind, name: str) -> Any:
        """An object as it is stored, or what was to be it."""
        found = self._server.list(kind, fields=f"metadata.name={name}").items
        return self._spoiled_some(copy.deepcopy(found[0] if found else {}), kind, name)

    def _spoiled_some(self, value: Any, kind: Kind, name: str) -> Any:
        for _ in range(self._random.randrange(3)):
            value = self._spoiled(value, definitions().get(kind.definition, {}))
        return value if self._seldom(12) else self._named(value, name)

    def _named(self, value: Any, name: str) -> Any:
        if isinstance(value, dict) and isinstance(value.setdefault("metadata", {}), dict):
            value["metadata"] |= {"name": name}
        return value

    def _spoiled(self, value: Any, schema: Mapping[str, Any]) -> Any:
        """A value with one place of it changed; schema: what it should be."""
        keys: list[Any] = [*value] if isinstance(value, dict) else []
        keys = [*range(len(value))] if isinstance(value, list) else keys
        if keys and not self._seldom(6):
            key = self._any(keys)
            value[key] = self._spoiled(value[key], _field(schema, key))
            return value
        match self._random.randrange(14):
            case 0 | 1 | 2 if keys:
                value.pop(self._any(keys))
            case 3 if isinstance(value, list):
                return value * self._any((2, 3, 1100))
            case 4 if isinstance(value, dict):
                value[self._any(WORDS)] = self._junk()
            case 5:
                return [value]
            case 6:
                return self._junk()
            case 7:
                for _ in range(self._any(_DEPTHS)):
                    value = {"spec": value}
            case _:
                return self._fitting(schema)
        return value

    def _fitting(self, schema: Mapping[str, Any], depth: int = 8) -> Any:
        """A value of a schema's type, mostly."""
        schema = resolve(schema)
        if not depth or self._seldom(40):
            return self._junk()
        if fields := schema.get("properties"):
            names = [] if self._seldom(6) else [*schema.get("required", ())]
            names += self._random.choices([*fields], k=self._random.randrange(5))
            return {name: self._fitting(fields[name], depth - 1) for name in dict.fromkeys(names)}
        some = range(self._random.randrange(3))
        match schema.get("type"):
            case "string" if schema.get("format") == "date-time" and not self._seldom(12):
                return self._any(TIMES)
            case "string":
                return self._any(WORDS)
            case "integer" | "number":
                return self._any(NUMBERS)
            case "boolean":
                return self._any((True, False))
            case "array":
                return [self._fitting(schema["items"], depth - 1) for _ in some]
            case "object" if more := schema.get("additionalProperties"):
                return {self._any(WORDS): self._fitting(more, depth - 1) for _ in some}
        return self._junk()

    def _junk(self, depth: int = 3) -> Any:
        some = range(self._random.randrange(3) if depth else 0)
        match self._random.randrange(6):
            case 0:
                return [self._junk(depth - 1) for _ in some]
            case 1:
                return {self._any(WORDS): self._junk(depth - 1) for _ in some}
            case 2:
                return self._any((None, True, False))
            case 3:
                return self._any(NUMBERS)
        return self._any(WORDS)

    # Patches.

    @cached_property
    def _patches(self) -> Mapping[str, Callable[[Kind, str], Any]]:
        return {
            "application/json-patch+json": self._json_patch,
            "application/merge-patch+json": self._merge_patch,
            "application/strategic-merge-patch+json": self._merge_patch,
            "application/apply-patch+yaml": self._configuration,
        }

    def _json_patch(self, kind: Kind, name: str) -> Any:
        return self._junk() if self._seldom(20) else [*map(self._operation, range(3))]

    def _operation(self, _: int) -> Any:
        if self._seldom(15):
            return self._junk()
        done = {"op": self._any(OPERATIONS), "path": self._any(POINTERS)}
        if not self._seldom(4):
            done["value"] = self._junk()
        if not self._seldom(3):
            done["from"] = self._any(POINTERS)
        return done

    def _configuration(self, kind: Kind, name: str) -> Any:
        """What an apply says: an object, or a part of one."""
        value = self._object(kind, name)
        if isinstance(value, dict):
            value |= {"apiVersion": kind.api_version, "kind": kind.kind}
            for part in self._random.sample([*value], k=self._random.randrange(2)):
                value.pop(part)
        return value

    def _merge_patch(self, kind: Kind, name: str) -> Any:
        """A spoiled object, mostly of the right name, and directives of strategic patches."""
        value = self._object(kind, name)
        if isinstance(value, dict) and not self._seldom(6):
            value.pop("metadata", None)
        places = [value]
        while places:
            place = places.pop()
            if isinstance(place, dict):
                places += [*place.values()]
                if self._seldom(12):
                    said = self._any(("replace", "delete", "merge", "explode", None, 1))
                    place[self._any(DIRECTIVES)] = said if self._seldom(2) else self._junk()
            elif isinstance(place, list):
                places += place[:5]
        return value

    # Choices.

    def _any(self, choices: Any) -> Any:
        return self._random.choice(choices)

    def _seldom(self, number: int) -> bool:
        """Once in so many times."""
        return self._random.randrange(number) == 0


def _field(schema: Mapping[str, Any], key: str | int) -> Mapping[str, Any]:
    if isinstance(key, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
    return resolve(found or {})
