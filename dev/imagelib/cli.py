"""The command line of dev/build-images. Does I/O."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import NoReturn

from . import host, images, runtime

PREFIX = re.compile(r"[a-z0-9]+([.:-][a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
"""A registry host, perhaps with a port, and path parts, as the OCI distribution specification has them."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of this command are."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2 and a line that says what is wrong."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    options = parse(arguments)
    try:
        if options.openclaw_dir:
            print(runtime.openclaw_dir(images.PINS))
            return 0
        if options.plugins_dir:
            print(images.plugins_dir())
            return 0
        host.require_root()
        host.require_programs()
        programs = {
            "operator": options.operator_binary,
            "webhook": options.webhook_binary,
            "watchdog": options.watchdog_binary,
        }
        request = images.Request(options.prefix, {name: path for name, path in programs.items() if path is not None})
        built = {name: images.IMAGES[name](request) for name in options.images or images.IMAGES}
    except host.ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; what was finished is in the cache", file=sys.stderr)
        return 130
    report(built, as_json=options.json)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the process with exit code 2."""
    parser = Parser(
        prog="dev/build-images",
        description="Build the container images as OCI archives in the cache and print their names and files.",
        epilog="The cache is ${KR8TIV_CACHE:-$HOME/.cache/kr8tiv}. Nothing is built twice from the same content.",
    )
    # argparse checks `choices` against the empty default too, so the names are checked below.
    names = ", ".join(images.IMAGES)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"{names}; all of them without one")
    parser.add_argument("--prefix", default="localhost/kr8tiv", help="what image names begin with (%(default)s)")
    parser.add_argument("--json", action="store_true", help='print {"operator": {"reference": …, "archive": …}, …}')
    parser.add_argument(
        "--openclaw-dir",
        action="store_true",
        help="build no image; print a directory whose bin/openclaw runs on this host",
    )
    parser.add_argument(
        "--plugins-dir",
        action="store_true",
        help="build no image; print a directory whose npm-cache holds the plugins of channels",
    )
    parser.add_argument("--operator-binary", type=Path, metavar="FILE", help="use this program instead of building it")
    parser.add_argument("--webhook-binary", type=Path, metavar="FILE", help="the same, for the operator's image")
    parser.add_argument("--watchdog-binary", type=Path, metavar="FILE", help="the same; it must be linked statically")
    options = parser.parse_args(arguments)
    for name in options.images:
        if name not in images.IMAGES:
            parser.error(f"there is no image {name!r}: use {names}")
    if not PREFIX.fullmatch(options.prefix):
        parser.error(f"--prefix {options.prefix!r} is no image name: use lower-case parts such as localhost/kr8tiv")
    return options


def report(built: dict[str, images.Built], *, as_json: bool) -> None:
    """Print the results on standard output."""
    if as_json:
        rows = {name: dataclasses.asdict(image) for name, image in built.items()}
        print(json.dumps(rows, indent=2, default=str))
    else:
        for name, image in built.items():
            print(f"{name}\t{image.reference}\t{image.archive}")
