"""Content-keyed build cache outside the checkout. Touches the file system only.

An entry's key is a hash over everything it is built from, so a fresh clone on
the same machine builds nothing again and a changed input never finds a stale
result. Entries are published by rename: they exist complete or not at all.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PROGRESS_SECONDS = 10.0
"""How often something that takes long says that it is still at work."""


def cache_dir() -> Path:
    """The cache's root: ${KR8TIV_CACHE:-$HOME/.cache/kr8tiv}, created when missing."""
    root = Path(os.environ.get("KR8TIV_CACHE") or Path.home() / ".cache" / "kr8tiv")
    root.mkdir(parents=True, exist_ok=True)
    return root.absolute()


def keyed(name: str, inputs: list[bytes | Path], build: Callable[[Path], None]) -> Path:
    """Return the directory that `build` filled for these inputs, building it at most once.

    `build` gets an empty temporary directory and puts the result into it. A
    `Path` in `inputs` stands for its content (of the whole tree, when it is a
    directory). Two processes that want the same entry take turns: the second
    one finds it built.
    """
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no name for a cache entry: one plain file name is needed")
    root = cache_dir()
    entry = root / f"{name}-{content_hash(inputs)}"
    if entry.is_dir():
        return entry
    with exclusive(root / f".{name}.lock", f"waiting for another build of {name}"):
        if entry.is_dir():
            return entry
        _remove_abandoned(root, name)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}.build-", dir=root))
        try:
            # mkdtemp makes it 0700; an entry is as readable as the cache itself.
            scratch.chmod(0o755)
            with progress(f"building {name}"):
                build(scratch)
            scratch.rename(entry)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return entry


def content_hash(inputs: list[bytes | Path]) -> str:
    """16 hex digits over the inputs, each framed so that no two lists run together."""
    digest = hashlib.sha256()
    for item in inputs:
        if isinstance(item, bytes):
            _frame(digest, b"bytes", item)
        elif item.is_dir():
            for path in sorted(p for p in item.rglob("*") if p.is_symlink() or not p.is_dir()):
                _frame(digest, b"name", os.fsencode(path.relative_to(item)))
                _hash_path(digest, path)
        else:
            _hash_path(digest, item)
    return digest.hexdigest()[:16]


def _hash_path(digest: hashlib._Hash, path: Path) -> None:
    if path.is_symlink():
        _frame(digest, b"link", os.fsencode(os.readlink(path)))
        return
    with path.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").digest()
    executable = b"x" if os.access(path, os.X_OK) else b"-"
    _frame(digest, b"file" + executable, content)


def _frame(digest: hashlib._Hash, kind: bytes, data: bytes) -> None:
    digest.update(kind + b":" + str(len(data)).encode() + b":")
    digest.update(data)


def _remove_abandoned(root: Path, name: str) -> None:
    """Remove what builds of this name left when they were killed.

    Safe because the caller holds the name's lock: no such build is running.
    """
    for path in root.glob(f".{name}.build-*"):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def exclusive(path: Path, waiting: str = "waiting for another run") -> Iterator[None]:
    """Hold the lock file `path`; the kernel releases it when this process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        with progress(waiting, quiet=True):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def progress(step: str, quiet: bool = False) -> Iterator[None]:
    """Say on stderr what is being done, again every 10 s, and how long it took.

    `quiet` keeps silent about a step that takes less than 10 s.
    """
    started = time.monotonic()
    done = threading.Event()

    def report() -> None:
        while not done.wait(PROGRESS_SECONDS):
            say(f"{step} … {time.monotonic() - started:.0f} s")

    if not quiet:
        say(f"{step} …")
    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if not quiet:
        say(f"{step}: done in {time.monotonic() - started:.1f} s")


def say(line: str) -> None:
    """Write one line of progress to stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)
