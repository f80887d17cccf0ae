"""secondhop: where outside traffic to a Kubernetes Service lands, proved with packets."""

__version__ = "0.1.0"
__all__ = ["__version__"]
