"""What a recording shows: packets at interfaces and rules met, put together to the ways that the
packets of one connection took. Pure, and it knows no prediction."""

from .ways import flow_frames, ways

__all__ = ["flow_frames", "ways"]
