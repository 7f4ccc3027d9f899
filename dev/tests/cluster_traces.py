"""Everything on this machine that shows that a cluster was here. I/O: reads /proc, /sys, folders.

Deliberately not built on clusterlib: what that overlooks, this has to see.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Where containerd, runc, kubelet and CNI plugins leave things when nobody stops them.
SHARED_FOLDERS = (
    "/run/netns",
    "/run/containerd",
    "/run/runc",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/cni/net.d",
    "/opt/local-path-provisioner",
    "/tmp/hostpath_pv",
)
SHARED_SETTINGS = (
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/net/ipv4/ip_forward",
)


def machine() -> dict[str, str]:
    """What clusters share: it must be the same before and after."""
    folders = {path: " ".join(sorted(_listing(path))) for path in SHARED_FOLDERS}
    settings = {path: Path(path).read_text().strip() for path in SHARED_SETTINGS if Path(path).exists()}
    links = {"links": " ".join(sorted(os.listdir("/sys/class/net")))}
    return {**folders, **settings, **links}


def of(name: str) -> list[str]:
    """Each process, mount, cgroup, folder and network namespace that belongs to cluster `name`."""
    return [*_processes(name), *_mounts(name), *_cgroups(name), *_folders(name)]


def networks(name: str) -> set[str]:
    """The network namespaces its processes are in, those of its pods included."""
    found = set()
    for pid in _pids(name):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
    return found - {os.readlink("/proc/self/ns/net")}


def still_open(namespaces: set[str]) -> list[str]:
    """Which of these network namespaces are held by a process or a mount.

    Only meaningful before new ones are made: the kernel reuses their numbers.
    """
    held = set()
    for pid in _all_pids():
        with contextlib.suppress(OSError):
            held.add(os.readlink(f"/proc/{pid}/ns/net"))
        with contextlib.suppress(OSError):
            mounts = Path(f"/proc/{pid}/mountinfo").read_text()
            held.update(namespace for namespace in namespaces if namespace in mounts)
    return sorted(namespaces & held)


def _processes(name: str) -> list[str]:
    return [f"process {pid}: {_read(pid, 'cmdline')[:120]}" for pid in _pids(name)]


def _pids(name: str) -> list[int]:
    signs = (f"KR8TIV_COMPONENT={name}/", f"/kr8tiv-{name}/", *(f"{root}/{name}/" for root in _roots()))
    own = os.getpid()
    found = []
    for pid in _all_pids():
        text = "\n".join(_read(pid, part) for part in ("environ", "cgroup", "cmdline"))
        if pid != own and any(sign in text for sign in signs):
            found.append(pid)
    return found


def _mounts(name: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [f"mount {line}" for line in lines if f"/{name}/" in line]


def _cgroups(name: str) -> list[str]:
    roots = [Path("/sys/fs/cgroup"), *(p for p in Path("/sys/fs/cgroup").iterdir() if p.is_dir())]
    return [f"cgroup {root / f'kr8tiv-{name}'}" for root in roots if (root / f"kr8tiv-{name}").exists()]


def _folders(name: str) -> list[str]:
    run, data = _roots()
    candidates = (f"{run}/{name}", f"{run}/.{name}.lock", f"{data}/{name}")
    return [f"folder {path}" for path in candidates if os.path.lexists(path)]


def _roots() -> tuple[str, str]:
    return os.environ.get("KR8TIV_RUN") or "/run/kr8tiv", os.environ.get("KR8TIV_DATA") or "/var/lib/kr8tiv"


def _all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _read(pid: int, part: str) -> str:
    try:
        return Path(f"/proc/{pid}/{part}").read_bytes().replace(b"\0", b"\n").decode(errors="replace")
    except OSError:
        return ""


def _listing(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return ["(absent)"]
