"""How far something long has got, on stderr."""

from __future__ import annotations

import sys

import click

_WIDTH = 24


class Progress:
    """A bar with the time left, on a terminal; elsewhere a line for each thing that is done."""

    def __init__(self) -> None:
        self._drawing = sys.stderr.isatty()
        self._told = ""

    def tell(self, what: str, done: float, total: float) -> None:
        """done, total: seconds."""
        left = max(total - done, 0.0)
        if self._drawing:
            full = round(_WIDTH * done / total)
            bar = "#" * full + "." * (_WIDTH - full)
            click.echo(f"\r\x1b[K[{bar}] {left:3.0f} s left  {what}", err=True, nl=False)
        elif what != self._told:
            click.echo(f"{what} (about {left:.0f} s left)", err=True)
        self._told = what

    def end(self) -> None:
        """Leave no trace on a terminal."""
        if self._drawing and self._told:
            click.echo("\r\x1b[K", err=True, nl=False)
