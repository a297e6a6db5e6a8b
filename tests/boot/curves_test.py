#!/usr/bin/python3
"""What an operation costs among 1,000 processes, 200 threads and 10,000 mappings grows at most as the logarithm (lib/curves.py)."""

import functools
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, curves, images, launcher, results  # noqa: E402

_SECONDS = 240


class CurvesTest(unittest.TestCase):
    def run_mode(self, mode):
        with tempfile.TemporaryDirectory(prefix="nopte-curves-") as folder:
            boot = boots.make(pathlib.Path(folder), mode, [curves.GUEST_PROGRAM], extra=[(curves.PROGRAM, curves.GUEST_PROGRAM)])
            done = launcher.run(machine.command(boot), boot.counters, _SECONDS)
        figures, failed = results.figures(mode, done.console, done.events)
        self.assertEqual((failed, done.status), ({}, 0))
        self.assertEqual(set(curves.of(figures)), set(curves.TITLES))
        misses = curves.misses({mode: figures})
        self.assertEqual(misses, [], "\n".join(f"{miss.row}: {miss.what}" for miss in misses))


for _mode in ("native", "vma"):
    setattr(CurvesTest, f"test_{_mode}", functools.partialmethod(CurvesTest.run_mode, _mode))


if __name__ == "__main__":
    images.prepare(build=False)
    unittest.main()
