"""What every text report shares."""

import pytest

from secondhop.report.layout import WIDTH, wrapped


@pytest.mark.parametrize(
    ("columns", "terminal", "width"),
    [("80", True, 80), ("20", True, 60), ("200", True, WIDTH), ("80", False, WIDTH)],
)
def test_sentences_are_as_wide_as_a_terminal_allows(
    monkeypatch: pytest.MonkeyPatch, columns: str, terminal: bool, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert wrapped("x " * WIDTH, "")[0] == ("x " * (width // 2)).rstrip()
