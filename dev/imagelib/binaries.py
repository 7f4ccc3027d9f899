"""Builds this workspace's programs with cargo and checks what came out. Does I/O."""

from __future__ import annotations

import json
import struct
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

from clusterlib.cache import progress

from . import host

PROGRAM_HEADER_INTERPRETER = 3
"""PT_INTERP of the ELF format: the dynamic loader the program asks for."""


def release_binaries(root: Path, packages: Sequence[str], *, static: bool) -> dict[str, Path]:
    """The release builds of these programs, by their packages; `static`, for one only, links the C library into it.

    In one run of cargo, as each run would compile what they share again with other features of its dependencies.
    """
    named = [word for package in packages for word in ("--package", package, "--bin", package)]
    common = ["--release", "--locked", *named]
    argv = ["cargo", "rustc" if static else "build", *common, "--message-format=json-render-diagnostics"]
    if static:
        argv += ["--", "-C", "target-feature=+crt-static"]
    title = " and ".join(packages)
    with progress(f"building {title}", quiet=True):
        messages = host.run(f"cargo build of {title}", argv, cwd=root)
    return {package: executable(messages, package) for package in packages}


def executable(messages: str, package: str) -> Path:
    """Where cargo says, in its JSON messages, that it put the program."""
    for line in messages.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == package:
            if message["executable"] is not None:
                return Path(message["executable"])
    raise host.ImageError(f"cargo built {package} without naming its program: does the package still have that binary?")


def require_static(binary: Path) -> None:
    """Refuse a program that needs a dynamic loader: an image without a file system could not start it."""
    if interpreted(binary.read_bytes()):
        raise host.ImageError(
            f"{binary} is linked dynamically and its image has no C library: link it with -C target-feature=+crt-static"
        )


def interpreted(elf: bytes) -> bool:
    """Whether this 64-bit ELF program asks for a dynamic loader."""
    if elf[:5] != b"\x7fELF\x02":
        raise host.ImageError("the program is no 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    kinds = (struct.unpack_from("<I", elf, table + size * index)[0] for index in range(count))
    return PROGRAM_HEADER_INTERPRETER in kinds


def workspace_version(root: Path) -> str:
    """The version that every package of the workspace has."""
    manifest = tomllib.loads((root / "Cargo.toml").read_text())
    return str(manifest["workspace"]["package"]["version"])


def source_revision(root: Path) -> str:
    """The commit of the checkout, marked when files differ from it; `unknown` outside of git."""
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode != 0:
        return "unknown"
    clean = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True, check=False).returncode == 0
    return head.stdout.strip() + ("" if clean else "-dirty")
