"""How `bench/run` reads what callgrind writes, and what it makes of figures."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import unittest
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    """`bench/run`, whose name has no ending."""
    loader = importlib.machinery.SourceFileLoader("bench_run", str(ROOT / "bench" / "run"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up by its name.
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


BENCH = script()

ANNOTATED = """\
Events shown:     Ir
--------------------------------------------------------------------------------
Ir                   file:function
--------------------------------------------------------------------------------
1,000 (100.0%)  ???:instructions::main [/target/release/instructions]
  474 (47.40%)  ???:<kr8tiv_compiler::A as core::fmt::Display>::fmt [/target/release/instructions]
   69 ( 6.90%)  ./string/../multiarch/memmove.S:__memcpy_avx [/usr/lib/libc.so.6]
    5 ( 0.50%)  /rustc/0/library/alloc/src/string.rs:core::ptr::drop_in_place<[alloc::string::String]>
"""


class Figures(unittest.TestCase):
    def test_functions_of_a_profile(self) -> None:
        found = list(BENCH.functions_of(ANNOTATED))
        self.assertEqual(found, [("instructions::main", 1000), ("<kr8tiv_compiler::A as core::fmt::Display>::fmt", 474),
                                 ("__memcpy_avx", 69), ("core::ptr::drop_in_place<[alloc::string::String]>", 5)])

    def test_total_of_a_profile(self) -> None:
        self.assertEqual(BENCH.total("events: Ir\nfn=(1)\n4 17\nsummary: 17\n\ntotals: 17\n"), 17)
        self.assertEqual(BENCH.total("events: Ir\n"), 0)

    def test_what_was_not_counted_is_a_dash(self) -> None:
        one, many = BENCH.Figures("again", 1, 10, 100, 50), BENCH.Figures("shared", 4, 44, 400, 50)
        self.assertEqual(BENCH.ratios([one, many]), {"allocations": 4.4, "bytes": 4.0})
        text = "\n".join(BENCH.table([one, many], {}))
        self.assertNotIn("times the instructions", text)
        self.assertRegex(text, r"(?m)^shared .* 4 +44 +400 +50 +-$")

    def test_ratio_of_instructions(self) -> None:
        one, many = BENCH.Figures("again", 1, 10, 100, 50, 200), BENCH.Figures("shared", 4, 44, 400, 50, 900)
        self.assertEqual(BENCH.ratios([one, many])["instructions"], 4.5)
        self.assertIn("4 tenants take 4.50 times the instructions of one", "\n".join(BENCH.table([one, many], {})))


if __name__ == "__main__":
    unittest.main()
