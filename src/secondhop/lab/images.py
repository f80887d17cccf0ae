"""Which images the lab has: one."""

from __future__ import annotations

import re

_WHOAMI = re.compile(r"(.*/)?whoami(:[^/]*)?(@.*)?")


def is_whoami(image: str) -> bool:
    """Whether an image is traefik/whoami, from whichever registry and of whichever version."""
    return _WHOAMI.fullmatch(image) is not None
