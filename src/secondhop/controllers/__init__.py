"""Deployment, ReplicaSet, scheduler, EndpointSlice, node lifecycle and more: each one watch to one
write, over an Api. `run.run` starts them all."""
