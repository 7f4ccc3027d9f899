"""Runs programs of this machine and installs those that are missing. Does I/O."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusterlib.cache import cache_dir, exclusive, progress

PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""Programs an image build needs, each with the Debian package that has it."""

APT_GET = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Color=0"]


ERROR = re.compile(r"\berror\b|^E: ", re.IGNORECASE)
"""How cargo, npm, pip and buildah, and apt and debootstrap, begin the line that gives the reason."""


class ImageError(Exception):
    """A build step failed; the message is one line that says what and where to look."""

    exit_code = 1


class PrerequisiteError(ImageError):
    """This machine lacks something; the message is one line that says what to do."""

    exit_code = 2


def run(
    what: str,
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run `argv` and return its standard output; its standard error goes to a log that errors name.

    `what` names the step in that error and in the log's file name.
    """
    command = [str(part) for part in argv]
    slug = re.sub(r"[^\w.]+", "-", what).strip("-")
    log = cache_dir() / "logs" / f"{slug}.{os.getpid()}.log"
    log.parent.mkdir(exist_ok=True)
    try:
        with log.open("wb") as stderr:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                check=False,
            )
    except FileNotFoundError as missing:
        log.unlink()
        raise PrerequisiteError(f"{command[0]} is missing: install it and run this again") from missing
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        errors = log.read_text(errors="replace")
        with log.open("a") as stream:
            stream.write(output)
        cause = telling_line(errors) or telling_line(output) or "it said nothing"
        raise ImageError(f"{what} failed (exit code {done.returncode}): {cause}; its output is in {log}")
    log.unlink()
    return output


def telling_line(text: str) -> str | None:
    """The first line that calls itself an error, else the last one that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.search(line)]
    return (errors[:1] or lines[-1:] or [None])[0]


def require_root() -> None:
    """Building an image makes files of several owners and mounts file systems."""
    if os.geteuid() != 0:
        raise PrerequisiteError("building images needs root: run this again with sudo")


def require_programs() -> None:
    """Install the missing programs of PACKAGES without starting any service."""
    missing = missing_packages()
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise PrerequisiteError(f"{', '.join(missing)} missing and no apt-get here: install them by hand")
    with exclusive(cache_dir() / ".apt.lock"):
        missing = missing_packages()
        if not missing:
            return
        with progress(f"installing {' '.join(missing)}"):
            environment = {"DEBIAN_FRONTEND": "noninteractive"}
            install = [*APT_GET, "install", "-y", "--no-install-recommends", *missing]
            try:
                run("apt-get install", install, env=environment)
            except ImageError:
                # A machine that never read the package lists, or whose lists are too old, fails once.
                run("apt-get update", [*APT_GET, "update"], env=environment)
                run("apt-get install", install, env=environment)


def missing_packages() -> list[str]:
    """The packages whose program is not on PATH."""
    return sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
