"""Starts a tenant's Compose file with the built images. Opt-in by KR8TIV_IMAGES=1: it builds what is not cached."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
ROOT = DEV.parent
sys.path[:0] = [str(DEV), str(DEV / "tests")]

import cargo_builds  # noqa: E402
from clusterlib.wait import until  # noqa: E402
from compose_engine import PATIENCE, Engine  # noqa: E402
from oci_sandbox import Unpacked, unpack  # noqa: E402
from test_compose_file import FILE, load  # noqa: E402

RELOAD_SECONDS = 120.0
SECRET = "s3cret-${HOME}-$1"


@unittest.skipUnless(os.environ.get("KR8TIV_IMAGES") == "1", "KR8TIV_IMAGES=1 is not set")
class ComposeProject(unittest.TestCase):
    """The first tenant's containers, as the Compose project's loader reads their file."""

    compiler: Path
    images: dict[str, Unpacked]

    @classmethod
    def setUpClass(cls) -> None:
        command = [str(DEV / "build-images"), "watchdog", "openclaw", "--json"]
        built = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        cls.compiler = cargo_builds.built("kr8tiv-cli", "kr8tiv", by_test="documents")
        cls.directory = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.images = {}
        for name, image in built.items():
            (cls.directory / name).mkdir()
            cls.images[name] = unpack(Path(image["archive"]), cls.directory / name)

    def setUp(self) -> None:
        self.folder = self.directory / "bundle"
        self.write_bundle((ROOT / "examples" / "first-tenant.yaml").read_text())
        example = (self.folder / ".env.example").read_text()
        (self.folder / ".env").write_text(re.sub(r"^(\w+)=$", rf"\1='{SECRET}'", example, flags=re.MULTILINE))
        project = load(self.folder / FILE, self.folder / ".env")
        self.assertEqual(project.returncode, 0, project.stderr)
        self.engine = Engine(json.loads(project.stdout), self.image, self.directory / "engine")
        self.addCleanup(self.engine.kill)

    def write_bundle(self, manifest: str) -> None:
        """What the compiler makes of a manifest, over what is in the folder."""
        file = self.directory / "manifest.yaml"
        file.write_text(manifest)
        arguments = ["-f", file, "--tenant-id", "acme-0a1b2c3d", "--output", self.folder]
        subprocess.run([self.compiler, "compose", *arguments], cwd=ROOT, check=True)

    def image(self, reference: str) -> Unpacked:
        """The built image that stands for a published one."""
        repository, _, _ = reference.rpartition(":")
        return self.images[repository.rpartition("/")[2]]

    def get(self, port: int, path: str) -> dict[str, object]:
        """What the gateway's container gets from an address of its own; nothing while there is no good answer."""
        authorization = f"Authorization: Bearer {SECRET}"
        done = self.engine.execute("gateway", "curl", "--silent", "--header", authorization, f"http://127.0.0.1:{port}{path}")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def delivered(self) -> object:
        """The hash of the bundle that the watchdog says is in place."""
        found = self.get(18800, "/status").get("delivered")
        return found["bundleHash"] if isinstance(found, dict) else None

    def wanted(self) -> object:
        """The hash of the bundle in the folder."""
        return json.loads((self.folder / "config" / "delivery.json").read_text())["bundleHash"]

    def succeeds(self, service: str, *command: str) -> str:
        done = self.engine.execute(service, *command)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_from_an_empty_machine_to_a_change_and_to_the_end(self) -> None:
        self.engine.up()
        self.engine.wait_healthy("gateway")
        started = self.get(18789, "/startupz")
        self.assertEqual((started["ok"], started["status"]), (True, "started"))
        until(lambda: self.delivered() == self.wanted(), "the first delivery", PATIENCE)
        with self.subTest("the gateway is confined"):
            self.is_confined()
        with self.subTest("secrets are where they belong"):
            self.has_its_secrets()
        with self.subTest("a changed bundle is delivered"):
            self.takes_a_change()
        with self.subTest("the others still reach a restarted service"):
            self.survives_a_restart_of_the_sidecar()
        with self.subTest("it stops cleanly, and starts again with what it has"):
            self.stops_and_starts()

    def is_confined(self) -> None:
        self.assertEqual(self.succeeds("gateway", "id", "-u").strip(), "1000")
        status = self.succeeds("gateway", "cat", "/proc/1/status")
        self.assertRegex(status, r"CapBnd:\t0+\n")
        self.assertRegex(status, r"NoNewPrivs:\t1\n")
        for path in ("/x", "/app/x", "/home/node/x", "/etc/openclaw/config/x"):
            refused = self.engine.execute("gateway", "touch", path)
            self.assertRegex(refused.stderr, "Read-only file system|Permission denied")
        for path in ("/tmp/x", "/home/node/.openclaw/x"):
            self.succeeds("gateway", "touch", path)
        blocks, size = self.succeeds("gateway", "stat", "--file-system", "--format", "%b %S", "/tmp").split()
        self.assertEqual(int(blocks) * int(size), 1 << 30)

    def has_its_secrets(self) -> None:
        environment = self.succeeds("gateway", "printenv")
        for variable in ("ANTHROPIC_API_KEY", "OPENCLAW_GATEWAY_TOKEN"):
            self.assertIn(f"{variable}={SECRET}\n", environment)
        self.assertNotIn("KR8TIV_STATUS_TOKEN", environment)
        self.assertEqual(self.succeeds("gateway", "curl", "--silent", "http://127.0.0.1:18800/status"), '{"error":"unauthorized"}')
        self.assertNotIn("s3cret", (self.folder / FILE).read_text())

    def takes_a_change(self) -> None:
        before = self.delivered()
        manifest = (ROOT / "examples" / "first-tenant.yaml").read_text()
        changed = manifest.replace("Friendly and plain.", "Terse to a fault.").replace("sonnet-4-6", "haiku-4-5")
        self.assertEqual(len(re.findall("Terse to a fault|haiku-4-5", changed)), 2)
        self.write_bundle(changed)
        self.assertNotEqual(self.wanted(), before)
        until(lambda: self.delivered() == self.wanted(), "the delivery of the change", PATIENCE)
        soul = self.succeeds("gateway", "cat", "/home/node/.openclaw/workspace-main/SOUL.md")
        self.assertIn("Terse to a fault.", soul)
        log = self.engine.running["gateway"].log_text
        until(lambda: "config hot reload applied" in log(), "the reload", RELOAD_SECONDS)

    def survives_a_restart_of_the_sidecar(self) -> None:
        self.engine.stop("watchdog")
        self.assertEqual(self.get(18800, "/status"), {})
        self.engine.start("watchdog")
        until(lambda: self.delivered() == self.wanted(), "the delivery after a restart", PATIENCE)

    def stops_and_starts(self) -> None:
        # `sleep` has nothing to do about SIGTERM but die of it.
        self.assertEqual({name: code for name, code in self.engine.down().items() if code != 0}, {"network": 143})
        self.engine.up()
        self.engine.wait_healthy("gateway")
        self.assertEqual(self.delivered(), self.wanted())


if __name__ == "__main__":
    unittest.main()
