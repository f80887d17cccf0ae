"""Frozen data that every room may use: the cluster, a flow, its fate. No I/O, no clock."""
