"""The API server's HTTP face: what kubectl and other clients speak to."""
