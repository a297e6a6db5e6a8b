#!/usr/bin/python3
"""What a switch between threads of one space costs: no exit of the memory interface in mode vma, where one between processes
takes one."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, counters, images, launcher  # noqa: E402

SECONDS = 60
PROGRAM = images.PROGRAMS / "tests" / "thread_hops"
HOPS = 1000
# First touches while the span is open.
STRAY = 8


class ThreadHops(unittest.TestCase):
    def test_no_exit_between_threads(self):
        with tempfile.TemporaryDirectory() as folder:
            boot = boots.make(pathlib.Path(folder), "vma", ["/thread_hops"], extra=[(PROGRAM, "/thread_hops")],
                              guest_mib=256)
            done = launcher.run(machine.command(boot), boot.counters, SECONDS)
        self.assertEqual(done.status, 0, done.console)
        spans = counters.spans(done.events)
        exits = {name: counters.memory_exits(spans[name].counters) for name in ("threads", "processes")}
        print(f"of {HOPS} hops: between threads {exits['threads']} exits, between processes {exits['processes']}")
        self.assertLessEqual(exits["threads"], STRAY)
        self.assertGreaterEqual(exits["processes"], HOPS)


if __name__ == "__main__":
    unittest.main()
