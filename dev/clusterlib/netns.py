"""The cluster's network namespace: no uplink, one node address. I/O: kernel."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from clusterlib.errors import Failure
from clusterlib.settings import GATEWAY_IP, NODE_IP

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def create(path: Path) -> None:
    """Create a namespace and hold it by a mount at `path`.

    Not with `ip netns add`: that leaves a mount on /run/netns behind for good.
    """
    path.touch()
    _run(["unshare", f"--net={path}", "true"])


def configure() -> None:
    """Give the namespace this process is in its addresses, routes and settings."""
    # The neighbour entry is static because nothing answers ARP for the gateway.
    batch = f"""
        link set lo up
        link add node0 type veth peer name uplink0
        link set node0 up
        link set uplink0 up
        address add {NODE_IP}/24 dev node0
        neighbour add {GATEWAY_IP} lladdr 02:00:00:00:00:01 nud permanent dev node0
        route add default via {GATEWAY_IP} dev node0
    """
    _run(["ip", "-batch", "-"], batch)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/conf/all/route_localnet").write_text("1")


def enter(path: Path) -> None:
    """Move this thread, and what it starts from now on, into the namespace.

    In process rather than by `nsenter` so that the API server can be asked
    without starting a program for every question.
    """
    if not is_mounted(path):
        raise Failure(f"there is no network namespace at {path}: the cluster is not up")
    _set(path)


@contextlib.contextmanager
def inside(path: Path) -> Iterator[None]:
    """Like `enter`, and back to where this thread was."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(path)
        try:
            yield
        finally:
            _set(Path(f"/proc/self/fd/{home}"))
    finally:
        os.close(home)


def _set(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise Failure(f"entering the network namespace {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def is_mounted(path: Path) -> bool:
    """Whether `path` holds a namespace, rather than being the plain file it is mounted on."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def inode(path: Path) -> int | None:
    """The identity of the namespace at `path`, as /proc/PID/ns/net shows it."""
    return path.stat().st_ino if is_mounted(path) else None


def release(path: Path) -> None:
    """Take the mount away; the kernel removes the namespace with its last process."""
    while is_mounted(path):
        _run(["umount", str(path)])
    path.unlink(missing_ok=True)


def _run(argv: list[str], stdin: str = "") -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
