"""Timestamps as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(seconds: float) -> str:
    """A timestamp of the API, of whole seconds; seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def since_1970(text: str) -> float:
    """The seconds that a timestamp of the API means."""
    return datetime.fromisoformat(text).timestamp()
