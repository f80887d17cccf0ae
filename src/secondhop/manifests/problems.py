"""Mistakes in the user's objects, gathered so that one run names them all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ..errors import ManifestError, Problem

Path: TypeAlias = tuple[str | int, ...]
"""Where a field stands in its object: keys and list indices."""

_SHOWN = 60  # characters of a value quoted in a message


class Problems:
    """Collects problems; `settle` raises them together, in the order of the input's lines."""

    def __init__(self) -> None:
        self._found: list[tuple[str, int, Problem]] = []

    def add(
        self, source: str, line: int, subject: str, field: str, message: str, remedy: str
    ) -> None:
        """One more mistake, at a line (from 1; 0 when it has none) of a source."""
        where = f"{printable(source)}:{line}" if line else printable(source)
        problem = Problem(where, subject, field, message, remedy)
        self._found.append((source, line, problem))

    def about(self, kind: str) -> bool:
        """Whether an object of this kind has a problem."""
        return any(problem.subject.split()[0] == kind for _, _, problem in self._found)

    def settle(self) -> None:
        """Raise ManifestError if anything was found."""
        if not self._found:
            return
        order = {source: n for n, source in enumerate(dict.fromkeys(s for s, _, _ in self._found))}
        ranked = sorted(self._found, key=lambda found: (order[found[0]], found[1]))
        raise ManifestError(list(dict.fromkeys(problem for _, _, problem in ranked)))


def dotted(path: Path) -> str:
    """A path as Kubernetes writes it: `spec.ports[0].name`, `metadata.labels[example.com/x]`."""
    text = ""
    for part in path:
        if isinstance(part, str) and part.replace("-", "").replace("_", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{printable(str(part))}]"
    return text


def origin(path: Path, moved: Sequence[tuple[Path, Path]]) -> Path:
    """Where a path of a mended object was written. moved: (home, where written)."""
    for home, stands in reversed(moved):
        if path[: len(home)] == home:
            return stands + path[len(home) :]
    return path


def printable(text: str) -> str:
    """The text itself, or its JSON escape when it holds what a terminal should not be sent."""
    return text if text.isprintable() else json.dumps(text)


def shown(value: Any) -> str:
    """A value as a message quotes it: JSON, cut short; collections by their kind only."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(str(value) if isinstance(value, bytes) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def invalid(value: Any, why: str) -> str:
    """The API server's words for a value it refuses."""
    return f"Invalid value: {shown(value)}: {why}"


def unsupported(value: Any, values: Iterable[str]) -> str:
    """The API server's words for a value outside an enumeration."""
    return f"Unsupported value: {shown(value)}: {supported(values)}"


def supported(values: Iterable[str]) -> str:
    """The API server's words for the values of an enumeration."""
    return "supported values: " + ", ".join(f'"{value}"' for value in values)


def near(name: str, known: Iterable[str], cutoff: float = 0.75) -> str | None:
    """The known name that was probably meant, if one is close enough."""
    from difflib import get_close_matches

    folded = {k.lower(): k for k in known}
    found = get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy: the near name, or the names there are."""
    names = list(known)
    guess = near(name, names)
    return f"Did you mean {guess}?" if guess else f"Known here: {', '.join(names)}."
