"""Starting, finding and ending the cluster's processes. I/O: processes, /proc."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from clusterlib.errors import Failure

# Every process of a cluster carries this in its environment, and so does what it
# starts (containerd's shims): they are found again whatever became of their parents.
MARKER = "KR8TIV_COMPONENT"

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process that can't be mistaken for a later one with the same id."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        stat = _stat(pid)
        if stat is None:
            raise Failure(f"process {pid} ended as soon as it was started")
        return cls(pid, stat[1])

    def alive(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[0] not in "ZX" and stat[1] == self.started

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def start(cluster: str, component: str, argv: list[str], log: Path, environment: dict[str, str]) -> Process:
    """Start a component in a session of its own, its output appended to `log`."""
    with log.open("ab") as stream:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd="/",
            env={**environment, MARKER: f"{cluster}/{component}"},
            start_new_session=True,
        )
    # The child outlives this command: its exit status is nobody's business here.
    child.returncode = 0
    return Process.of(child.pid)


def marked(cluster: str) -> set[int]:
    """The processes that were started as parts of the cluster, or by such."""
    wanted = f"{MARKER}={cluster}/".encode()
    return {pid for pid in _pids() if any(v.startswith(wanted) for v in _environment(pid))}


def in_network(inode: int) -> set[int]:
    """The processes whose network namespace has this inode."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if (PROC / str(pid) / "ns/net").stat().st_ino == inode:
                found.add(pid)
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory, 0 when the process is gone."""
    try:
        pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended; one that has waits to be reaped."""
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def ancestry() -> set[int]:
    """This process and those that started it."""
    chain = set()
    pid = os.getpid()
    while pid > 0 and pid not in chain:
        chain.add(pid)
        stat = _stat(pid)
        pid = stat[2] if stat else 0
    return chain


def kill(pids: Iterable[int], seconds: float = 20) -> None:
    """SIGKILL all and return when they are gone.

    No SIGTERM first: the cluster's state is thrown away with it, and the API
    server takes up to a minute to end politely.
    """
    descriptors = []
    try:
        for pid in pids:
            # A process may be gone by now, or end between the two calls.
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                descriptors.append(descriptor)
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        _wait_ended(descriptors, seconds)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_ended(descriptors: list[int], seconds: float) -> None:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left = set(descriptors)
    deadline = time.monotonic() + seconds
    while left:
        events = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not events:
            raise Failure(f"{len(left)} processes did not end within {seconds:g} s of SIGKILL")
        for descriptor, _ in events:
            poll.unregister(descriptor)
            left.discard(descriptor)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def _environment(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, start time and parent of a process; None when there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command name, in parentheses, may itself contain spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19]), int(fields[1])
