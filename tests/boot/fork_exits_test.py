"""A first fork of 64 MiB through each interface that batches: as many exits as full batches, and a few."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, counters, images, launcher  # noqa: E402

SECONDS = 60
GUEST_MIB = 256
PROGRAM = images.PROGRAMS / "tests" / "first_fork"
PAGES = (64 << 20) // 4096
# Entries that one exit tells of, or changes, by mode.
CAPACITY = {"kvmpv": 512, "vmi": 511, "lguest": 64, "xen": 512}
# The other pages of the process, the flush at the end, the child's kernel memory.
CONSTANT = 4


class ForkExits(unittest.TestCase):
    def test_entries_are_told_in_batches(self):
        for mode, capacity in CAPACITY.items():
            with self.subTest(mode), tempfile.TemporaryDirectory() as folder:
                boot = boots.make(pathlib.Path(folder), mode, ["/first_fork"], extra=[(PROGRAM, "/first_fork")],
                                  guest_mib=GUEST_MIB)
                done = launcher.run(machine.command(boot), boot.counters, SECONDS)
                self.assertEqual(done.status, 0, done.console)
                span = counters.spans(done.events)["fork"].counters
                batches = -(-PAGES // capacity)
                exits = counters.memory_exits(span)
                told = span.get("entries_told", span.get("entries_written"))
                print(f"{mode}: {PAGES} pages, {told} entries, at {capacity} each; {exits} exits")
                self.assertLessEqual(exits, batches + CONSTANT)


if __name__ == "__main__":
    unittest.main()
