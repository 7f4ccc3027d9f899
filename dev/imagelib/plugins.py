"""The plugins of channels as an npm cache: what the image ships and what tests install from. Does I/O.

Layout of the directory, which is also the build context of the image:

    npm-cache/   every package that `openclaw plugins install` asks npm for
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path

from clusterlib.cache import keyed

from . import host

PINS = "integrity.json"
"""The hash of each plugin, by the package's name. Its version is always OpenClaw's. The plugins bring most of what
they need along; what else npm adds is checked by npm against what the registry says."""

LEFTOVERS = ("_logs", "_update-notifier-last-checked", "_cacache/tmp")


def plugins_dir(pins: Path, openclaw: Path, version: str) -> Path:
    """The cached directory for the OpenClaw at `openclaw`, made when it is not there yet."""
    inputs: list[bytes | Path] = [pins / PINS, openclaw.name.encode(), platform.machine().encode(), Path(__file__)]
    return keyed("openclaw-plugins", inputs, lambda target: _build(pins, openclaw, version, target))


def _build(pins: Path, openclaw: Path, version: str, target: Path) -> None:
    wanted: dict[str, str] = json.loads((pins / PINS).read_text())
    cache = target / "npm-cache"
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        env = {
            "HOME": scratch,
            "NPM_CONFIG_USERCONFIG": str(Path.home() / ".npmrc"),
            "NPM_CONFIG_CACHE": str(cache),
            "OPENCLAW_STATE_DIR": str(state),
            "OPENCLAW_CONFIG_PATH": str(Path(scratch) / "openclaw.json"),
            "PATH": f"{openclaw / 'node' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        for name in wanted:
            install = ["plugins", "install", f"npm:{name}@{version}", "--accept-capabilities"]
            what = f"installation of {name} (needs the npm registry)"
            host.run(what, [openclaw / "bin" / "openclaw", *install], env=env)
        found = installed(state)
    if found != wanted:
        raise host.ImageError(f"the registry's plugins are not those of {pins / PINS}, but {json.dumps(found)}")
    for leftover in LEFTOVERS:
        path = cache / leftover
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    host.run("chmod of the plugins", ["chmod", "-R", "a+rX,go-w", target])


def installed(state: Path) -> dict[str, str]:
    """The hashes of the plugins that OpenClaw installed into this state, by the packages' names."""
    found = {}
    for lock in sorted(state.glob("npm/projects/*/package-lock.json")):
        for path, package in json.loads(lock.read_text())["packages"].items():
            name = path.removeprefix("node_modules/")
            if name.startswith("@openclaw/") and path.count("node_modules/") == 1:
                found[name] = package["integrity"]
    return found
