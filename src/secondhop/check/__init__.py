"""What is wrong with manifests, or surprising about them, and whether requirements hold."""

from .catalogue import CATALOGUE
from .engine import check
from .require import read_requirements

__all__ = ["CATALOGUE", "check", "read_requirements"]
