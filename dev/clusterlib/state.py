"""What is known of a cluster between commands. I/O: the run folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from clusterlib.cache import progress
from clusterlib.process import Process
from clusterlib.settings import Cluster, Mode, roots


@dataclass
class State:
    """The record of one `up`; `ready` only once everything worked."""

    mode: Mode
    nodes: int
    ready: bool = False
    components: dict[str, Process] = field(default_factory=dict)

    def save(self, cluster: Cluster) -> None:
        content = {
            "mode": self.mode,
            "nodes": self.nodes,
            "ready": self.ready,
            "components": {name: process.to_json() for name, process in self.components.items()},
        }
        scratch = cluster.state_file.with_suffix(".new")
        scratch.write_text(json.dumps(content, indent=2) + "\n")
        scratch.rename(cluster.state_file)

    def dead(self) -> list[str]:
        return [name for name, process in self.components.items() if not process.alive()]


def load(cluster: Cluster) -> State | None:
    """The record, or None when there is none that can be read: then nothing is known."""
    try:
        content = json.loads(cluster.state_file.read_text())
        components = {name: Process(**fields) for name, fields in content["components"].items()}
        return State(Mode(content["mode"]), content["nodes"], content["ready"], components)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def known_names() -> list[str]:
    """Every cluster that has a run or a data folder."""
    found: set[str] = set()
    for root in roots():
        with contextlib.suppress(OSError):
            found.update(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return sorted(found)


@contextlib.contextmanager
def exclusive(cluster: Cluster) -> Iterator[None]:
    """Only one command at a time changes a cluster; the lock's file goes with the cluster."""
    with progress(f"waiting for another command on {cluster.name}", quiet=True):
        descriptor = _lock(cluster.lock_file)
    try:
        yield
    finally:
        if not cluster.run_dir.exists():
            cluster.lock_file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                cluster.run_root.rmdir()
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # A `down` removed the folder in between.
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        # The holder before us removed the file: what we locked is no longer the lock.
        os.close(descriptor)
