"""The lab's Kubernetes API: a store that knows no kinds, kinds as data, and the ways in."""
