"""dev/install builds what it is not given, and hands over what it is."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import unittest
from pathlib import Path
from types import ModuleType
from unittest import mock

PROGRAM = Path(__file__).resolve().parents[1] / "install"


def load() -> ModuleType:
    """`dev/install`, which is no module by its name."""
    loader = importlib.machinery.SourceFileLoader("install", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


install = load()


class Images(unittest.TestCase):
    """Nothing is built or installed: what would be is taken down."""

    def installed(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Which images are built, and the values for the operator's chart."""
        built: list[str] = []
        values: dict[str, str] = {}

        def run(command: list[object], **_: object) -> subprocess.CompletedProcess[str]:
            words = [str(word) for word in command]
            if words[0].endswith("build-images"):
                built.extend(words[2:])
            settings = [words[at + 1] for at, word in enumerate(words) if word == "--set-string"]
            values.update(setting.split("=", 1) for setting in settings)
            images = {name: {"reference": f"localhost/{name}:built", "archive": f"/{name}.tar"} for name in words[2:]}
            return subprocess.CompletedProcess(words, 0, stdout=json.dumps(images))

        with mock.patch.object(subprocess, "run", run), mock.patch("sys.argv", ["install", "--name", "n", *arguments]):
            self.assertEqual(install.main(), 0)
        return built, values

    def test_all_but_the_plugins_are_built(self) -> None:
        built, values = self.installed()
        self.assertEqual(built, ["operator", "watchdog", "openclaw", "sandbox"])
        self.assertEqual(values["gateway.repository"], "localhost/openclaw")
        self.assertEqual((values["sandbox.image.repository"], values["sandbox.image.tag"]), ("localhost/sandbox", "built"))
        self.assertEqual(values["gateway.plugins.image"], "")
        built, values = self.installed("--plugins")
        self.assertEqual(built, ["operator", "watchdog", "openclaw", "plugins", "sandbox"])
        self.assertEqual(values["gateway.plugins.image"], "localhost/plugins:built")

    def test_what_is_given_is_not_built(self) -> None:
        built, values = self.installed("--sandbox-image", "example.com/box:1", "--gateway-repository", "example.com/gateway")
        self.assertEqual(built, ["operator", "watchdog"])
        self.assertEqual((values["sandbox.image.repository"], values["sandbox.image.tag"]), ("example.com/box", "1"))
        self.assertEqual(values["gateway.repository"], "example.com/gateway")

    def test_without_anything_to_build_the_sandbox_is_the_charts(self) -> None:
        given = ["--operator-image", "e/o:1", "--watchdog-image", "e/w:1", "--gateway-repository", "e/g"]
        built, values = self.installed("--no-load", *given)
        self.assertEqual((built, values.get("sandbox.image.tag")), ([], None))


if __name__ == "__main__":
    unittest.main()
