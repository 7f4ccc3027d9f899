"""Builds the container images of the development cluster: operator, watchdog, OpenClaw, its plugins, the sandbox."""
