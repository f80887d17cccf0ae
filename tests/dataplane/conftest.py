"""Every test here loads rules into a real kernel."""

import pytest


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""
