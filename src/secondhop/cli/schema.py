"""`secondhop schema`: the JSON Schema of an output."""

from __future__ import annotations

import json

import click

from ..errors import UsageError
from .source import alternatives


@click.command()
@click.argument("kind", required=False, metavar="[KIND]")
def command(kind: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of a kind of `-o json` document; without KIND, list
    the kinds."""
    from ..report.schema import KINDS, schema

    if kind is None:
        click.echo("\n".join(KINDS))
        return
    known = {name.lower(): name for name in KINDS}
    if kind.lower() not in known:
        raise UsageError(f"there is no kind {kind}", alternatives(kind.capitalize(), KINDS))
    click.echo(json.dumps(schema(known[kind.lower()]), indent=2))
