"""`check --fix` and `check --write`: the manifests with their fields at home."""

from __future__ import annotations

import os
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Sequence

import click

from ..errors import ManifestError, Problem, UsageError


def print_mended(files: Sequence[str]) -> None:
    """The mended manifests of all files, one stream of documents. Raises ManifestError."""
    texts = [mended if mended.endswith("\n") else f"{mended}\n" for _, _, mended in _mended(files)]
    for number, text in enumerate(texts):
        click.echo("---\n" if number and not text.startswith("---") else "", nl=False)
        click.echo(text, nl=False)


def write_mended(files: Sequence[str]) -> None:
    """Replace each file that changes by its mended self, whole or not at all; none is touched if
    one cannot be read. Raises ManifestError."""
    if "-" in files:
        raise UsageError("--write cannot write to stdin", "Use --fix, which prints.")
    for name, before, after in _mended(files):
        if after != before:
            _replace(name, after)
            click.echo(f"mended {name}", err=True)


def _mended(files: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, text and mended text of every file."""
    if not files:
        raise UsageError("there is no file to mend", "Name it with -f.")
    from ..manifests import read_texts
    from ..manifests.mending import mended_text

    done = []
    problems: list[Problem] = []
    for name, text in read_texts(files, sys.stdin):
        try:
            done.append((name, text, mended_text(text, name)))
        except ManifestError as error:
            problems += error.problems
    if problems:
        raise ManifestError(problems)
    return done


def _replace(name: str, text: str) -> None:
    """Write beside the file, then rename; mode and byte order mark are kept, a link stays one."""
    target = os.path.realpath(name)
    with open(target, "rb") as before:
        marked = before.read(len(BOM_UTF8)) == BOM_UTF8
    descriptor, beside = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".secondhop-")
    try:
        with open(descriptor, "w", encoding="utf-8-sig" if marked else "utf-8", newline="") as file:
            file.write(text)
        os.chmod(beside, os.stat(target).st_mode & 0o7777)
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise
