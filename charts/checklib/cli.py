"""The command line of charts/check. Does I/O."""

from __future__ import annotations

import argparse
import sys
import unittest

from clusterlib.errors import Failure

from . import generated, helm


def main(arguments: list[str]) -> int:
    """Check the charts, or first rewrite what is generated; returns the exit code."""
    parser = argparse.ArgumentParser(prog="charts/check", description="Check the charts without a cluster.")
    parser.add_argument("--update", action="store_true", help="first rewrite the copied CRDs and the table of values")
    parser.add_argument("--verbose", action="store_true", help="name each check")
    options = parser.parse_args(arguments)
    try:
        helm.program()
        if options.update:
            generated.write()
    except Failure as failure:
        print(f"charts/check: {failure}", file=sys.stderr)
        return getattr(failure, "exit_code", 1)
    modules = [f"checklib.{name}" for name in ("crds", "operator", "values", "webhook")]
    checks = unittest.defaultTestLoader.loadTestsFromNames(modules)
    result = unittest.TextTestRunner(verbosity=2 if options.verbose else 1).run(checks)
    return 0 if result.wasSuccessful() else 1
