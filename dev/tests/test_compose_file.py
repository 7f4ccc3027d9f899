"""The Compose files that the compiler's examples give, read by the Compose project's own loader."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

DEV = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV))

from clusterlib import toolchain  # noqa: E402

GOLDEN = DEV.parent / "compiler" / "tests" / "golden" / "whole"
FILE = "docker-compose.tenant.yml"


def load(file: Path, environment: Path) -> subprocess.CompletedProcess[str]:
    """What the loader says of a file."""
    command = [str(toolchain.compose_check()), str(file), str(environment)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class ComposeFiles(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)

    def filled_in(self, example: str) -> Path:
        """The `.env` of somebody who gave every variable a value that Compose could take for more than text."""
        path = self.directory / ".env"
        path.write_text(re.sub(r"^(\w+)=$", r"\1='\1 ${HOME} #1'", example, flags=re.MULTILINE))
        return path

    def project(self, name: str) -> dict[str, Any]:
        example = (GOLDEN / name / ".env.example").read_text()
        done = load(GOLDEN / name / FILE, self.filled_in(example))
        self.assertEqual(done.returncode, 0, done.stderr)
        project: dict[str, Any] = json.loads(done.stdout)
        return project

    def test_files_are_valid_and_complete(self) -> None:
        names = sorted(path.parent.name for path in GOLDEN.glob(f"*/{FILE}"))
        self.assertGreater(len(names), 1)
        for name in names:
            with self.subTest(name):
                services = self.project(name)["services"]
                gateway = services["gateway"]
                self.assertEqual(gateway["environment"]["OPENCLAW_GATEWAY_TOKEN"], "OPENCLAW_GATEWAY_TOKEN ${HOME} #1")
                self.assertEqual(gateway["restart"], "unless-stopped")
                self.assertEqual(services["seed"]["restart"], "no")
                self.assertEqual({port["host_ip"] for port in services["network"]["ports"]}, {"127.0.0.1"})

    def test_each_secret_is_required(self) -> None:
        example = (GOLDEN / "two-agents" / ".env.example").read_text()
        variables = re.findall(r"^(\w+)=$", example, re.MULTILINE)
        self.assertEqual(len(variables), 5)
        for variable in variables:
            with self.subTest(variable):
                without = example.replace(f"{variable}=\n", "")
                done = load(GOLDEN / "two-agents" / FILE, self.filled_in(without))
                self.assertEqual(done.returncode, 1)
                self.assertIn(f"required variable {variable} is missing a value: set it in .env", done.stderr)

    def test_ports_can_be_others(self) -> None:
        environment = self.filled_in((GOLDEN / "first-tenant" / ".env.example").read_text())
        text, replaced = re.subn(r"^# (\w+)=18\d{3}$", r"\1=28789", environment.read_text(), flags=re.MULTILINE)
        self.assertEqual(replaced, 2)
        environment.write_text(text)
        done = load(GOLDEN / "first-tenant" / FILE, environment)
        ports = json.loads(done.stdout)["services"]["network"]["ports"]
        self.assertEqual({port["published"] for port in ports}, {"28789"})

    def test_the_loader_refuses_what_the_specification_does(self) -> None:
        text = (GOLDEN / "first-tenant" / FILE).read_text()
        environment = self.filled_in((GOLDEN / "first-tenant" / ".env.example").read_text())
        wrong = self.directory / FILE
        for right, bad in (("read_only: true", "read_only: maybe"), ("cap_drop:", "cap_dropped:")):
            with self.subTest(bad):
                self.assertIn(right, text)
                wrong.write_text(text.replace(right, bad, 1))
                self.assertEqual(load(wrong, environment).returncode, 1)


if __name__ == "__main__":
    unittest.main()
