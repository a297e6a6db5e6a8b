"""The conformance cases (tests/conformance) booted in every mode: results, and exits within each case's bound."""

import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, counters, images, launcher  # noqa: E402

SECONDS = 200
GUEST_MIB = 64
MODES = ("native", "nested", "shadow", "vma", "kvmpv", "vmi")
IMAGE = images.GUEST.parent / "nopte-conformance"
FEWEST_CASES = 60
# Modes whose memory path leaves the guest at most once for each call and first touch, or never.
BOUNDED = {"native": 0, "nested": 0, "vma": 1}


class Conformance(unittest.TestCase):
    def boot(self, mode):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        module = pathlib.Path(folder.name) / "module"
        kernel, line = IMAGE, "-- conformance"
        if mode == "native":
            module.write_bytes(bytes(4096))
        else:
            kernel = images.HYPERVISOR
            module.write_bytes(bundle.build([(boots.GUEST_PART, IMAGE.read_bytes())]))
            line = machine.hypervisor_command_line(mode, GUEST_MIB, line)
        boot = machine.Boot(mode, kernel, module, line, pathlib.Path(folder.name) / "counters", guest_mib=GUEST_MIB)
        return launcher.run(machine.command(boot), boot.counters, SECONDS)

    def check_exits(self, mode, events):
        """exits_memory between the marks, less the end mark's own call, against the bound that the case printed."""
        marks = [event for event in events if event["event"] == "mark"]
        for begin, end in zip(marks[::2], marks[1::2]):
            self.assertEqual(begin["text"].split()[1], end["text"].split()[1])
            _, number, allowed = end["text"].split()
            taken = end["counters"].get("exits_memory", 0) - begin["counters"].get("exits_memory", 0)
            self.assertLessEqual(taken, int(allowed) * BOUNDED[mode], f"{mode}: exits of case {number}")
        return len(marks) // 2

    def run_mode(self, mode):
        done = self.boot(mode)
        lines = done.console.decode(errors="replace").splitlines()
        results = [line for line in lines if line.startswith(("PASS ", "FAIL "))]
        print("\n".join(f"{line[:5]}{mode}-{line[5:]}" for line in results))
        self.assertEqual([line for line in results if line.startswith("FAIL ")], [], "\n".join(lines))
        self.assertGreaterEqual(len(results), FEWEST_CASES, "\n".join(lines))
        self.assertEqual(done.status, 0)
        if mode in BOUNDED:
            # One result is about the image and has no marks.
            self.assertEqual(self.check_exits(mode, done.events), len(results) - 1)

    def test_native(self):
        self.run_mode("native")

    def test_nested(self):
        self.run_mode("nested")

    def test_shadow(self):
        self.run_mode("shadow")

    def test_vma(self):
        self.run_mode("vma")

    def test_kvmpv(self):
        self.run_mode("kvmpv")

    def test_vmi(self):
        self.run_mode("vmi")


if __name__ == "__main__":
    unittest.main()
