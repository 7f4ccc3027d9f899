"""A real Kubernetes cluster on one machine, built from packages."""
