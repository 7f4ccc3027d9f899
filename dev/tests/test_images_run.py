"""Runs the built images the way a hardened pod does. Opt-in by KR8TIV_IMAGES=1: it builds what is not cached."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(DEV), str(DEV / "tests")]

import cargo_builds  # noqa: E402
from imagelib import binaries, images, runtime  # noqa: E402
from oci_sandbox import Unpacked, unpack  # noqa: E402

CONFIG = {"gateway": {"mode": "local", "port": 18789, "bind": "loopback", "controlUi": {"enabled": False}}}


class BuiltImage(unittest.TestCase):
    """A test of the image `name`, unpacked once for all of its methods."""

    name: str
    image: Unpacked

    @classmethod
    def setUpClass(cls) -> None:
        command = [str(DEV / "build-images"), cls.name, "--json"]
        built = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        directory = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, directory)
        cls.image = unpack(Path(built[cls.name]["archive"]), directory)


@unittest.skipUnless(os.environ.get("KR8TIV_IMAGES") == "1", "KR8TIV_IMAGES=1 is not set")
class WatchdogImage(BuiltImage):
    """The sidecar starts with nothing around it."""

    name = "watchdog"

    def test_program_starts_by_the_entry_point(self) -> None:
        (program,) = self.image.config["Entrypoint"]  # type: ignore[misc]
        done = self.image.run(program, "--version")
        self.assertEqual(done.stdout, f"kr8tiv-watchdog {binaries.workspace_version(images.ROOT)}\n", done.stderr)

    def test_nothing_else_is_in_the_image(self) -> None:
        files = {f"/{path.relative_to(self.image.root)}" for path in self.image.root.rglob("*") if path.is_file()}
        expected = {"/kr8tiv-watchdog", "/etc/ssl/certs/ca-certificates.crt"}
        self.assertEqual({path for path in files if not path.startswith("/dev/")}, expected)

    def test_program_takes_at_most_ten_megabytes_at_rest(self) -> None:
        """The crate's own test, with the program of the image instead of the one for tests."""
        test = [cargo_builds.built("kr8tiv-watchdog", "it", by_test="it"), "memory::", "--nocapture"]
        program = str(self.image.root / "kr8tiv-watchdog")
        environment = {**os.environ, "KR8TIV_WATCHDOG_BINARY": program}
        subprocess.run(test, cwd=images.ROOT / "watchdog", env=environment, check=True)


@unittest.skipUnless(os.environ.get("KR8TIV_IMAGES") == "1", "KR8TIV_IMAGES=1 is not set")
class PluginsImage(BuiltImage):
    """What the init container of a gateway needs of the image, on a read-only root without capabilities."""

    name = "plugins"

    def test_entry_point_copies_the_packages_to_where_it_is_told(self) -> None:
        count = "find /tmp/_cacache -type f | wc -l; find /npm-cache/_cacache -type f | wc -l"
        entry_point = " ".join(self.image.config["Entrypoint"])  # type: ignore[arg-type]
        done = self.image.run("/bin/sh", "-c", f"{entry_point} /tmp && {count}", writable=("/tmp",))
        copied, packed = done.stdout.split()
        self.assertEqual(copied, packed, done.stderr)
        self.assertGreater(int(copied), 100)


@unittest.skipUnless(os.environ.get("KR8TIV_IMAGES") == "1", "KR8TIV_IMAGES=1 is not set")
class OpenClawImage(BuiltImage):
    """What the operator's pods need of the image, on a read-only root without capabilities."""

    name = "openclaw"

    def succeeds(self, *command: str, **env: str) -> str:
        done = self.image.run(*command, writable=("/tmp", "/home/node/.openclaw"), **env)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_openclaw_starts_by_both_of_its_names(self) -> None:
        version = f"OpenClaw {runtime.openclaw_version(images.PINS)}"
        self.assertIn(version, self.succeeds("openclaw", "--version", HOME="/home/node"))
        self.assertIn(version, self.succeeds("node", "dist/index.js", "--version", HOME="/home/node"))

    def test_entry_point_passes_the_command_on(self) -> None:
        entry_point = self.image.config["Entrypoint"]
        self.assertEqual(self.succeeds(*entry_point, "id", "-u"), "1000\n")  # type: ignore[misc]

    def test_gateway_judges_a_configuration(self) -> None:
        write = "printf %s \"$CONFIG\" > /home/node/.openclaw/openclaw.json && openclaw config validate --json"
        env = {"HOME": "/home/node", "XDG_CACHE_HOME": "/home/node/.openclaw/cache"}
        good = self.succeeds("sh", "-c", write, CONFIG=json.dumps(CONFIG), **env)
        self.assertIs(json.loads(good)["valid"], True)
        unknown = json.dumps({**CONFIG, "bogus": 1})
        bad = self.image.run("sh", "-c", write, writable=("/tmp", "/home/node/.openclaw"), CONFIG=unknown, **env)
        self.assertEqual(bad.returncode, 1)
        self.assertIs(json.loads(bad.stdout)["valid"], False)

    def test_nothing_but_the_volumes_is_writable(self) -> None:
        for path in ("/x", "/app/x", "/app/dist/x", "/home/node/x", "/usr/local/x"):
            with self.subTest(path=path):
                self.assertRegex(self.image.run("touch", path).stderr, "Read-only file system|Permission denied")

    def test_user_and_programs_an_ssh_sandbox_needs(self) -> None:
        self.assertEqual(self.succeeds("getent", "passwd", "1000").split(":")[5], "/home/node")
        for program in ("ssh", "tar", "git", "npm", "python3"):
            with self.subTest(program=program):
                self.succeeds("sh", "-c", f"command -v {program}")
        self.succeeds("python3", "-c", "import ctypes")

    def test_npm_finds_its_library(self) -> None:
        self.assertRegex(self.succeeds("npm", "--version", HOME="/tmp"), r"^\d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
