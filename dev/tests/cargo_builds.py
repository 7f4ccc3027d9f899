"""What tests of images need of this checkout beside the images, built by cargo. Does I/O.

Of the whole workspace and with tests of it, as the unit tests are built: so dependencies have the same features, and what
that stage has built is not built again. Of one package alone, cargo would compile nearly everything anew.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def built(package: str, target: str, *, by_test: str) -> Path:
    """A package's program, or its tests, of this name; `by_test` are tests with which it is built."""
    command = ["cargo", "build", "--quiet", "--locked", "--workspace", "--test", by_test, "--message-format=json-render-diagnostics"]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for message in map(json.loads, output.splitlines()):
        if message.get("executable") and f"#{package}@" in message["package_id"] and message["target"]["name"] == target:
            return Path(message["executable"])
    raise AssertionError(f"cargo builds no {target} of {package}")
