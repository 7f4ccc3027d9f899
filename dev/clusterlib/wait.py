"""Waiting for conditions, each with a deadline. I/O: reads logs for its errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from clusterlib.errors import Failure

POLL_SECONDS = 0.05
LOG_TAIL_LINES = 15


def until(
    condition: Callable[[], bool],
    what: str,
    seconds: float,
    *,
    died: Callable[[], bool] = lambda: False,
    log: Path | None = None,
) -> None:
    """Return once `condition` holds; fail when `seconds` pass first or the process `died`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if died():
            raise Failure(f"{what}: the process ended{tail(log)}")
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds:g} s{tail(log)}")
        time.sleep(POLL_SECONDS)


def tail(log: Path | None) -> str:
    """The end of a log as the continuation of an error message."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 16_384))
        lines = stream.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    if not lines:
        return f"; its log {log} is empty"
    return "\n".join([f"; the end of {log}:", *(f"  {line[:400]}" for line in lines)])
