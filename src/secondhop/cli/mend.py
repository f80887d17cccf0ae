"""`check --fix` and `check --write`: the manifests with their fields at home."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence

import click

from ..errors import ManifestError, Problem, UsageError

_MISPLACED = "misplaced-field"


def print_mended(files: Sequence[str]) -> None:
    """The mended manifests of all files, one stream of documents. Raises ManifestError."""
    done = _mended(files)
    texts = [mended if mended.endswith("\n") else f"{mended}\n" for _, _, mended in done]
    for number, text in enumerate(texts):
        click.echo("---\n" if number and not text.startswith("---") else "", nl=False)
        click.echo(text, nl=False)
    _summarise(files, done)


def write_mended(files: Sequence[str]) -> None:
    """Replace each file that changes by its mended self, whole or not at all; none is touched if
    one cannot be read. Raises ManifestError."""
    if "-" in files:
        raise UsageError("--write cannot write to stdin", "Use --fix, which prints.")
    done = _mended(files)
    for name, before, after in done:
        if after != before:
            _replace(name, after)
            click.echo(f"mended {name}", err=True)
    _summarise(files, done)


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


def _summarise(files: Sequence[str], done: Sequence[tuple[str, str, str]]) -> None:
    """Say how many fields went home, and how many errors of the objects are left."""
    before = _problems((name, text) for name, text, _ in done)
    after = _problems((name, text) for name, _, text in done)
    moved = sum((p.id == _MISPLACED) for p in before) - sum((p.id == _MISPLACED) for p in after)
    told = "no error is left"
    if left := len(after):
        names = " ".join(f"-f {shlex.quote(file)}" for file in files)
        told = f"{left} error{' is' if left == 1 else 's are'} left: secondhop check {names}"
    click.echo(f"mended {moved} field{'' if moved == 1 else 's'}; {told}", err=True)


def _problems(texts: Iterable[tuple[str, str]]) -> Sequence[Problem]:
    """What is wrong with the objects of (name, text) pairs that can be read."""
    from ..manifests import examine, read_text

    try:
        documents = [document for name, text in texts for document in read_text(text, name)]
        return examine(documents).problems
    except ManifestError as error:  # of the Lab
        return error.problems


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
