"""Every test here builds labs."""

import pytest


@pytest.fixture(autouse=True)
def _able(able: None) -> None:
    """Skipped where doctor says that the kernel cannot."""
