"""What the documents show is what the command prints."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSOLE = re.compile(r"```console\n\$ secondhop ([^\n]*)\n(.*?)```", re.S)
SECONDHOP = [sys.executable, "-c", "import sys; from secondhop.cli import main; sys.exit(main())"]


def transcripts() -> list[tuple[str, str, str]]:
    return [
        (document.name, command, printed)
        for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for command, printed in CONSOLE.findall(document.read_text())
    ]


def settled(text: str) -> str:
    """Without what differs from run to run, and where lines therefore break."""
    text = " ".join(text.split())
    text = re.sub(r"\(\d+\.\d\d s\)", "(0.08 s)", text)
    text = re.sub(r"(RemoteAddr: \S+):\d+", r"\1:0", text)
    text = re.sub(r"\d+ us (client|router|node|pod)", r"0 us \1", text)
    text = re.sub(r"((?:192\.168\.22\.2|10\.42\.\d\.[01])):\d+", r"\1:0", text)
    text = re.sub(r"Not told: \d+", "Not told: 8", text)
    text = re.sub(r"\d+ MiB available", "0 MiB available", text)
    return re.sub(r"(traffic-test-\w+-\w{5}) \d+", r"\1 N", text)


def test_there_are_transcripts() -> None:
    assert {name for name, _, _ in transcripts()} >= {"README.md", "reference.md", "trace.md"}


@pytest.mark.parametrize(
    ("document", "command", "printed"), transcripts(), ids=lambda text: text.split("\n")[0][:40]
)
def test_a_transcript_is_what_the_command_prints(document: str, command: str, printed: str) -> None:
    done = subprocess.run(
        [*SECONDHOP, *shlex.split(command)],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT / "docs" / "examples",
    )
    assert settled(done.stdout + done.stderr) == settled(printed)
