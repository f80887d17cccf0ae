"""Objects filed by their labels, so that a selector need not look at each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

_Label: TypeAlias = tuple[str, str]


class _Labelled(Protocol):
    @property
    def namespace(self) -> str: ...

    @property
    def labels(self) -> Mapping[str, str]: ...


_T = TypeVar("_T", bound=_Labelled)


class Labelled(Generic[_T]):
    """Objects of all namespaces; what is selected comes in their order."""

    def __init__(self, objects: Iterable[_T]) -> None:
        self._all: dict[str, list[_T]] = {}
        self._by_label: dict[str, dict[_Label, list[_T]]] = {}
        for one in objects:
            self._all.setdefault(one.namespace, []).append(one)
            filed = self._by_label.setdefault(one.namespace, {})
            for label in one.labels.items():
                filed.setdefault(label, []).append(one)

    def within(self, namespace: str) -> Sequence[_T]:
        """All of a namespace."""
        return self._all.get(namespace, ())

    def labels(self, namespace: str) -> Collection[_Label]:
        """Every label that some object of a namespace has."""
        return self._by_label.get(namespace, {}).keys()

    def select(self, namespace: str, labels: Mapping[str, str]) -> list[_T]:
        """Those of a namespace that have all these labels."""
        filed = self._by_label.get(namespace, {})
        candidates = [filed.get(label, ()) for label in labels.items()]
        fewest = min(candidates, key=len) if candidates else self.within(namespace)
        return [one for one in fewest if labels.items() <= one.labels.items()]
