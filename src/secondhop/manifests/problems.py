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
    """Collects problems; `settle` raises them together."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(
        self,
        file: str,
        line: int,
        subject: str,
        field: str,
        message: str,
        remedy: str,
        id: str = "invalid-value",
    ) -> None:
        """One more mistake; see Problem."""
        self._found.append(Problem(printable(file), line, subject, field, message, remedy, id))

    def about(self, kind: str) -> bool:
        """Whether an object of this kind has a problem."""
        return any(problem.subject.split()[0] == kind for problem in self._found)

    @property
    def found(self) -> tuple[Problem, ...]:
        """All of them, each once, in the order of the input's lines."""
        order = {file: n for n, file in enumerate(dict.fromkeys(p.file for p in self._found))}
        ranked = sorted(self._found, key=lambda problem: (order[problem.file], problem.line))
        return tuple(dict.fromkeys(ranked))

    def settle(self) -> None:
        """Raise ManifestError if anything was found."""
        if self._found:
            raise ManifestError(self.found)


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
    if guess := near(name, names):
        return f"Did you mean {guess}?"
    return f"Known here: {', '.join(names) or 'none'}."
