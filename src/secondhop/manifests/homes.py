"""Where the schema of a kind knows a name: the candidates for a misplaced field's home."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple

from .problems import Path
from .resource import dig
from .schema import KINDS
from .shapes import LABELS, Anything, ListOf, MapOf, Shape, Struct

ANY_ITEM = -1
"""Stands for an index in the path of a home that lies inside a list's items."""


_UNTOLD = 0.1
"""Likeness to a shape of which nothing is known: less than that to any that has something."""


class Home(NamedTuple):
    """One place where a name is known."""

    path: Path
    shape: Shape
    required: bool


@cache
def homes(kind: str) -> dict[str, list[Home]]:
    """Name -> its homes, in the order of the schema."""
    found: dict[str, list[Home]] = {}
    for home in _walk(KINDS[kind], ()):
        found.setdefault(str(home.path[-1]), []).append(home)
    return found


def _walk(shape: Shape, path: Path) -> Iterator[Home]:
    if isinstance(shape, ListOf):
        yield from _walk(shape.item, (*path, ANY_ITEM))
    elif isinstance(shape, Struct) and not shape.open:
        for name, inner in shape.fields.items():
            yield Home((*path, name), inner, name in shape.required)
            yield from _walk(inner, (*path, name))


def best(candidates: list[Home], value: Any, whence: Path, tree: Any) -> Home:
    """The candidate that a value found at `whence` was meant for, its path made concrete."""
    settled = [home._replace(path=_settled(home.path, whence, tree)) for home in candidates]
    return min(settled, key=lambda home: _rank(home, value, whence, tree))


def _rank(
    home: Home, value: Any, whence: Path, tree: Any
) -> tuple[bool, float, bool, bool, int, int]:
    occupied = dig(tree, home.path) is not None
    missing = sum(dig(tree, home.path[:n]) is None for n in range(1, len(home.path)))
    reported = home.path[0] == "status" and dig(tree, ("status",)) is None
    return (
        reported,
        -likeness(home.shape, value),
        occupied,
        not home.required,
        missing,
        _distance(whence[:-1], home.path[:-1]),
    )


def _distance(one: Path, other: Path) -> int:
    """Steps up and down from one place to another."""
    common = 0
    for a, b in zip_longest(one, other):
        if a != b:
            break
        common += 1
    return len(one) + len(other) - 2 * common


def _settled(path: Path, whence: Path, tree: Any) -> Path:
    """The path with an index for every list: the one the value comes from, else the first item
    that lacks the field."""
    done: Path = ()
    for n, part in enumerate(path):
        if part != ANY_ITEM:
            done += (part,)
            continue
        if whence[:n] == done and len(whence) > n and isinstance(whence[n], int):
            done += (whence[n],)
            continue
        items = dig(tree, done)
        count = len(items) if isinstance(items, list) else 0
        rest = path[n + 1 :]
        vacant = (i for i in range(count) if dig(items, (i, *rest)) is None)
        done += (next(vacant, 0),)
    return done


def likeness(shape: Shape, value: Any) -> float:
    """How much a value looks like a shape: 0 to 1."""
    if value is None:
        return 1
    match shape:
        case Struct() | MapOf() if not isinstance(value, dict):
            return 0
        case Struct(fields=fields):
            return sum(key in fields for key in value) / len(value) if value else 1
        case MapOf():
            fitting = (not isinstance(item, (dict, list)) for item in value.values())
            return sum(fitting) / len(value) if value else 1
        case ListOf(item=item):
            if not isinstance(value, list):
                return 0
            return sum(likeness(item, one) for one in value) / len(value) if value else 1
        case Anything():
            return _UNTOLD
        case _:
            return float(shape.admits(value))


def label_home(kind: str, whence: Path, tree: Any) -> Path | None:
    """Where a text with a name of the user's own belongs: in a label map that was left empty, else
    in the labels beside it."""
    key = whence[-1]
    maps = [
        home.path
        for found in homes(kind).values()
        for home in found
        if home.shape is LABELS and home.path[-1] != "nodeSelector"
    ]
    free = [path for path in maps if dig(tree, (*path, key)) is None]
    beneath = ((path, dig(tree, path[:-1])) for path in free)
    empty = [p for p, it in beneath if isinstance(it, dict) and p[-1] in it and not it[p[-1]]]
    beside = [p for p in free if p[:-1] == whence[:-1] and p[-1] != "selector"]
    chosen = (empty + beside)[:1]
    return (*chosen[0], key) if chosen else None


def elsewhere(kind: str, path: Path, tree: Any) -> Path | None:
    """Another place where a missing field's name is known, is not required, and has a value."""
    for home in homes(kind)[str(path[-1])]:
        place = _settled(home.path, path, tree)
        if not home.required and place != path and dig(tree, place) is not None:
            return place
    return None
