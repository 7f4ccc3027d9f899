"""The schema that ships with the compiler is the one that the pinned OpenClaw prints."""

from __future__ import annotations

import subprocess
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]


class OpenClawSchema(unittest.TestCase):
    def test_the_committed_schema_is_that_of_the_pinned_release(self) -> None:
        done = subprocess.run([DEV / "openclaw-schema", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
