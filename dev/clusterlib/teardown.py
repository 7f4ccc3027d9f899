"""Removes every trace of a cluster, whatever state it is in. I/O: processes, mounts, cgroups, files."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from clusterlib import cgroup, netns, process
from clusterlib.errors import Failure
from clusterlib.settings import Cluster

KILL_SECONDS = 30


def exists(cluster: Cluster) -> bool:
    """Whether there is anything to remove."""
    return (
        cluster.run_dir.exists()
        or cluster.data_dir.exists()
        or bool(process.marked(cluster.name))
        or any((hierarchy / cluster.cgroup).exists() for hierarchy in cgroup.hierarchies())
    )


def remove(cluster: Cluster, *, keep_logs: bool = False) -> None:
    """Remove it. Nothing is asked politely: its state is thrown away in any case."""
    _end_processes(cluster)
    # With its last process the node's mount namespace is gone, and all its mounts with it.
    netns.release(cluster.netns)
    cgroup.remove(cluster.cgroup)
    _remove_tree(cluster.data_dir)
    if keep_logs:
        for entry in cluster.run_dir.glob("*"):
            if entry != cluster.log_dir:
                _remove_tree(entry)
    else:
        _remove_tree(cluster.run_dir)
    for root in (cluster.run_root, cluster.data_root):
        # Only when no other cluster is in it.
        with contextlib.suppress(OSError):
            root.rmdir()


def _end_processes(cluster: Cluster) -> None:
    """Kill until none is left: a process may start another one while it is being killed."""
    deadline = time.monotonic() + KILL_SECONDS
    while pids := _processes(cluster):
        process.kill(pids)
        if time.monotonic() > deadline:
            raise Failure(f"processes of {cluster.name} keep coming back: {sorted(pids)}")


def _processes(cluster: Cluster) -> set[int]:
    """Its components, all in its network, all in its containers; but not who asks for the removal."""
    found = process.marked(cluster.name) | cgroup.processes(cluster.cgroup)
    if (inode := netns.inode(cluster.netns)) is not None:
        found |= process.in_network(inode)
    return {pid for pid in found - process.ancestry() if process.is_running(pid)}


def _remove_tree(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
