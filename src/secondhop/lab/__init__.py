"""The embedded cluster: network namespaces, cables, nodes, pods and who probes them, out of one
Linux kernel."""
