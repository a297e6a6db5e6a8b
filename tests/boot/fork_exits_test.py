"""What forks cost in exits: a first one of 64 MiB through each interface that batches, as many as full batches, and a few;
in mode vma, one after the other, exactly what papers/design.md counts."""

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
# Mode vma, rows of mmlat: hypercalls of each of so many forks, and what is touched for the first time while they are measured.
# Beside them each page fault is an exit: as many as natively, which the C library decides (3 and 5 with glibc 2.36, 6 and 8 with
# 2.41).
VMA_CALLS = {"fork-small": 3, "fork-exec": 6}
FORKS = 100
STRAY = 4


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

    def counted(self, mode, *hide):
        """Row -> counters of its span."""
        programs = [(images.PROGRAMS / name, "/" + name) for name in ("mmlat", "mmlat-exit")]
        with tempfile.TemporaryDirectory() as folder:
            boot = boots.make(pathlib.Path(folder), mode, ["/mmlat", "--rows", ",".join(VMA_CALLS)], extra=programs,
                              guest_mib=GUEST_MIB, hide=hide)
            done = launcher.run(machine.command(boot), boot.counters, SECONDS)
        self.assertEqual(done.status, 0, done.console)
        spans = counters.spans(done.events)
        return {row: spans[row].counters for row in VMA_CALLS}

    def test_in_mode_vma_forks_take_what_they_must(self):
        for calls, hide in ((0, ()), (1, ("switch",))):
            native, vma = self.counted("native"), self.counted("vma", *hide)
            for row, expected in VMA_CALLS.items():
                with self.subTest(row, hide=hide):
                    self.assertGreaterEqual(native[row]["faults"], FORKS)
                    exits = counters.memory_exits(vma[row]) - native[row]["faults"]
                    self.assertLessEqual(abs(exits - FORKS * (expected + calls)), STRAY)


if __name__ == "__main__":
    unittest.main()
