"""The command line of dev/build-images. Does I/O."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import host, runtime

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "dev" / "images"


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="dev/build-images", description="Build the container images.")
    parser.add_argument("--openclaw-dir", action="store_true")
    options = parser.parse_args(arguments)
    try:
        if options.openclaw_dir:
            print(runtime.openclaw_dir(IMAGES / "openclaw"))
    except host.ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0
