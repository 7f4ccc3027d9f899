"""Starts components inside a cluster and records them. I/O: processes, the run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from clusterlib import process, wait
from clusterlib.cache import say
from clusterlib.settings import Cluster
from clusterlib.state import State

# What a component may see of the caller's environment: proxies or a KUBECONFIG
# of the caller would silently change what it does.
_INHERITED = ("PATH", "LANG", "TZ")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Launcher:
    """Starts components from a process that is already in the cluster's network namespace."""

    def __init__(self, cluster: Cluster, state: State) -> None:
        self.cluster = cluster
        self.state = state

    def start(self, name: str, argv: list[str], environment: dict[str, str] | None = None) -> None:
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        path = os.pathsep.join([inherited.get("PATH", ""), _PATH]).lstrip(os.pathsep)
        self.state.components[name] = process.start(
            self.cluster.name,
            name,
            argv,
            self.cluster.log(name),
            # HOME: some programs insist on one.
            {**inherited, "PATH": path, "HOME": "/nonexistent", **(environment or {})},
        )
        self.state.save(self.cluster)

    def await_ready(self, name: str, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until the component meets the condition; say how long that took."""
        started = time.monotonic()
        component = self.state.components[name]
        wait.until(
            condition, f"{name} getting ready", seconds, died=lambda: not component.alive(), log=self.cluster.log(name)
        )
        say(f"{name} ready in {time.monotonic() - started:.1f} s")
