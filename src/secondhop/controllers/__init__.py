"""Deployment, ReplicaSet, scheduler, EndpointSlice, node lifecycle, load balancer status: each one watch to one write."""
