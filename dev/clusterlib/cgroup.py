"""The cgroups below which a cluster's containers live, of version 1 or 2. I/O: cgroup file systems."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

from clusterlib.errors import Missing
from clusterlib.wait import until

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids")


def hierarchies(root: Path = ROOT) -> list[Path]:
    """The mounted hierarchies: one with version 2, one per controller with version 1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    # Links such as `cpu -> cpu,cpuacct` name a hierarchy a second time.
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.is_symlink())


def create(name: str) -> None:
    """Create cgroup `name` in every hierarchy, ready for kubelet."""
    if (ROOT / "cgroup.controllers").exists():
        have = set((ROOT / "cgroup.controllers").read_text().split())
        _require(have)
        enable = " ".join(f"+{c}" for c in sorted(have & {*NEEDED, "io", "hugetlb"}))
        (ROOT / "cgroup.subtree_control").write_text(enable)
        (ROOT / name).mkdir(exist_ok=True)
        (ROOT / name / "cgroup.subtree_control").write_text(enable)
        return
    _require({p.name for p in ROOT.iterdir()})
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Empty at first; no process can join until they are set.
            if (group / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def processes(name: str) -> set[int]:
    """Every process in cgroup `name` or below it."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for listing in (hierarchy / name).rglob("cgroup.procs"):
            # A container's cgroup can vanish between being listed and being read.
            with contextlib.suppress(OSError):
                found.update(int(line) for line in listing.read_text().split())
    return found - {0}


def remove(name: str) -> None:
    """Remove cgroup `name` and all below it; they must hold no process."""
    for hierarchy in hierarchies():
        group = hierarchy / name
        # The kernel lets go of a dead process's cgroup a moment after its death.
        until(functools.partial(_removed, group), f"removing cgroup {group}", 10)


def _removed(group: Path) -> bool:
    if not group.exists():
        return True
    for directory in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            directory.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def _require(have: set[str]) -> None:
    if lacking := [c for c in NEEDED if c not in have]:
        raise Missing(
            f"the kernel offers no cgroup controller {', '.join(lacking)} below {ROOT}: "
            "enable it on the kernel command line, or use --mode control-plane"
        )
