"""dev/test itself: what it starts ends with it, whatever that is, and what hangs is shown."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest import mock

PROGRAM = Path(__file__).resolve().parents[1] / "test"
PATIENCE = 60.0
"""Seconds for what should take a moment, on a machine under load."""

FOR_EVER = ["sleep", "300"]

# Has a child in a process group of its own, as the gateways of tests are in.
PARENT = """
import pathlib, signal, subprocess, sys
signal.alarm(300)
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"], process_group=0)
pathlib.Path(sys.argv[1]).write_text(f"{child.pid}\\n")
while True:
    signal.pause()
"""

# What dev/test does with other stages than its own.
MAIN = """
import importlib.machinery, importlib.util, json, signal, sys
signal.signal(getattr(signal, sys.argv[2]), getattr(signal, sys.argv[3]))
loader = importlib.machinery.SourceFileLoader("stages", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("stages", loader))
loader.exec_module(module)
module.STAGES, module.AHEAD = json.loads(sys.argv[4]), {}
sys.argv[1:] = []
sys.exit(module.main())
"""


def load() -> ModuleType:
    """`dev/test`, which is no module by its name."""
    loader = importlib.machinery.SourceFileLoader("stages", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


stages = load()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process has not ended; the machine's init takes a moment to reap it."""
    return any(entry.pid == pid for entry in stages.table())


class Case(unittest.TestCase):
    """A test with stages and a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.output = io.StringIO()

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def number_in(self, name: str) -> int:
        """The number of a process that a command has written down."""
        file = self.folder / name
        until(lambda: file.exists() and file.read_text().endswith("\n"), name)
        return int(file.read_text())

    def parent(self, how: str) -> list[str]:
        return [sys.executable, "-c", PARENT, self.file("child"), how]

    def set(self, **values: object) -> None:
        """Changes values of dev/test until the end of the test."""
        patch = mock.patch.multiple(stages, **values)
        patch.start()
        self.addCleanup(patch.stop)

    def run_stages(self, *names: str) -> int:
        with contextlib.redirect_stdout(self.output):
            return int(stages.run(list(names)))


class Stages(Case):
    def test_the_first_failure_is_the_last_command(self) -> None:
        after = ["touch", self.file("after")]
        self.set(STAGES={"good": [["true"]], "bad": [["true"], ["false"], after], "later": [after]}, AHEAD={})
        self.assertEqual(self.run_stages("good", "bad", "later"), 1)
        self.assertIn("==== bad FAILED: false\n", self.output.getvalue())
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(self.run_stages("good", "good"), 0)

    def test_every_stage_that_is_built_ahead_comes_later(self) -> None:
        names = list(stages.STAGES)
        for name, builds in stages.AHEAD.items():
            for later in builds:
                self.assertLess(names.index(name), names.index(later))

    def test_a_command_that_hangs_is_shown_and_fails_its_stage(self) -> None:
        self.set(STAGES={"slow": [FOR_EVER]}, AHEAD={}, LIMIT_SECONDS=0.01)
        self.assertEqual(self.run_stages("slow"), 1)
        self.assertRegex(self.output.getvalue(), r"still running after 0.01 s:\n\d+ sleep 300\n")
        self.assertIn("==== slow FAILED: sleep 300\n", self.output.getvalue())

    def test_a_command_has_nothing_to_read(self) -> None:
        self.set(STAGES={"reads": [["sh", "-c", "! read line"]]}, AHEAD={})
        self.assertEqual(self.run_stages("reads"), 0)


class Ahead(Case):
    def test_the_stage_waits_for_its_build(self) -> None:
        one, built = self.file("one"), self.file("built")
        # It is not done before the stage that begins it is.
        build = ["sh", "-c", f"until [ -e {one} ]; do sleep 0.05; done; sleep 0.2; touch {built}; exit 3"]
        self.set(STAGES={"one": [["touch", one]], "two": [["test", "-e", built]]}, AHEAD={"one": {"two": build}})
        self.assertEqual(self.run_stages("one", "two"), 0)

    def test_nothing_is_built_that_no_later_stage_needs(self) -> None:
        self.set(STAGES={"one": [["true"]], "two": [["true"]]}, AHEAD={"one": {"two": ["/no/such/program"]}})
        self.assertEqual(self.run_stages("one"), 0)
        self.assertEqual(self.run_stages("two", "one"), 0)
        with self.assertRaises(FileNotFoundError):
            self.run_stages("one", "two")

    def test_a_build_that_hangs_is_shown_and_fails_the_stage(self) -> None:
        self.set(STAGES={"one": [], "two": [["true"]]}, AHEAD={"one": {"two": FOR_EVER}}, LIMIT_SECONDS=0.01)
        self.assertEqual(self.run_stages("one", "two"), 1)
        self.assertRegex(self.output.getvalue(), r"still running after 0.01 s:\n\d+ sleep 300\n")
        self.assertIn("==== two FAILED: sleep 300\n", self.output.getvalue())

    def test_a_build_ends_with_the_stages(self) -> None:
        number = self.file("build")
        build = ["sh", "-c", f"echo $$ > {number}; exec sleep 300"]
        fails = ["sh", "-c", f"until [ -s {number} ]; do sleep 0.05; done; false"]
        self.set(STAGES={"one": [fails], "two": [["true"]]}, AHEAD={"one": {"two": build}})
        self.assertEqual(self.run_stages("one", "two"), 1)
        self.assertFalse(runs(self.number_in("build")))


class End(Case):
    def test_all_that_descends_from_a_command_is_shown_and_ends(self) -> None:
        self.set(LIMIT_SECONDS=0.01)
        with stages.started(self.parent("usual")) as process:
            child = self.number_in("child")
            with contextlib.redirect_stdout(self.output):
                self.assertFalse(stages.ends(process))
        for pid in (process.pid, child):
            self.assertRegex(self.output.getvalue(), rf"(?m)^{pid} .+")
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertFalse(runs(child))

    def test_what_does_not_listen_is_killed(self) -> None:
        self.set(GRACE_SECONDS=0.2)
        with stages.started(self.parent("deaf")) as process:
            child = self.number_in("child")
        self.assertEqual(process.returncode, -signal.SIGKILL)
        until(lambda: not runs(child), "the end of the child")

    def test_who_cleans_up_is_waited_for_also_when_its_parent_has_ended(self) -> None:
        ready, cleaned = self.file("ready"), self.file("cleaned")
        # As a cluster's removal, by a program whose parent knows nothing about it.
        trap = f"trap 'sleep 0.3; echo yes > {cleaned}; exit' TERM; echo yes > {ready}; while :; do sleep 0.05; done"
        with stages.started(["sh", "-c", f"({trap}) & wait"], quiet=True):
            until(lambda: Path(ready).exists(), "the program")
        self.assertTrue(Path(cleaned).exists())

    def test_a_command_that_has_ended_is_left_alone(self) -> None:
        with mock.patch.object(stages.os, "killpg") as killed:
            self.assertTrue(stages.succeeds(["true"]))
            self.assertFalse(stages.succeeds(["false"]))
        killed.assert_not_called()


class Signals(Case):
    def main(self, number: str, before: str) -> subprocess.Popen[str]:
        """dev/test with a stage that does not end; `before` is what the signal did when it was started."""
        table = json.dumps({"endless": [self.parent("usual")]})
        command = [sys.executable, "-c", MAIN, str(PROGRAM), number, before, table]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.enterContext(process)
        self.addCleanup(process.kill)
        return process

    def test_what_ends_it_ends_what_it_runs(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with self.subTest(number.name):
                process = self.main(number.name, "SIG_DFL")
                child = self.number_in("child")
                process.send_signal(number)
                _, errors = process.communicate(timeout=PATIENCE)
                self.assertEqual((process.returncode, errors), (1, f"dev/test: ended by {number.name}\n"))
                self.assertFalse(runs(child))
                os.unlink(self.file("child"))

    def test_a_hangup_that_was_ignored_stays_ignored(self) -> None:
        process = self.main("SIGHUP", "SIG_IGN")
        self.number_in("child")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(errors, "dev/test: ended by SIGTERM\n")


if __name__ == "__main__":
    unittest.main()
