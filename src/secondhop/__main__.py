"""`python -m secondhop`, and what the installed command calls: an interrupt that hits while the
command is being loaded ends it as quietly as any other."""

import sys

_INTERRUPTED = 130


def main() -> None:
    """Entry point."""
    try:
        from .cli import main as command
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    command()


if __name__ == "__main__":
    main()
