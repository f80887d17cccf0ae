"""`secondhop doctor`: what this machine can do."""

from __future__ import annotations

import sys

import click

from .source import output_option

_UNABLE = 3


@click.command()
@output_option()
def command(output: str) -> None:
    """Try, in a child process, everything a lab needs, and name the remedy for what fails."""
    from ..lab.doctor import examine

    checks = examine()
    able = all(check.good for check in checks if check.needed)
    if output == "json":
        from ..report.json import document

        click.echo(
            document(
                "Diagnosis",
                None,
                {
                    "able": able,
                    "checks": [
                        {
                            "name": c.name,
                            "good": c.good,
                            "needed": c.needed,
                            "detail": c.detail,
                            "remedy": c.remedy,
                        }
                        for c in checks
                    ],
                },
            )
        )
    else:
        click.echo("This machine can run a lab." if able else "This machine cannot run a lab.")
        for check in checks:
            word = "ok" if check.good else "MISSING" if check.needed else "missing"
            remedy = "" if check.good else f". {check.remedy}"
            click.echo(f"{word:<8} {check.name:<16} {check.detail}{remedy}")
    if not able:
        sys.exit(_UNABLE)
