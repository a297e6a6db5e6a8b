"""Counting under Debian's KVM, and a monitor that dies."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import foreign

import machine
from lib import boots, images, kvm_host, launcher

SECONDS = 300
PROFILE = foreign.ROOT / "experiments" / "profile"
COMPARE = foreign.ROOT / "experiments" / "compare"


@foreign.needs(machine.KVM_SHADOW)
class CountsTest(unittest.TestCase):
    def test_instructions_and_exits_by_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "report"
            done = subprocess.run([COMPARE, "--modes", "native,kvm-shadow,kvm-nested", "--workload", "mmlat", "--rows",
                                   "getpid,map-touch-unmap-kept", "--scale", "50", "--out", out], capture_output=True,
                                  text=True, timeout=SECONDS * 2, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            rows = json.loads((out / "results.json").read_text())["rows"]
        self.assertIn("of them the guest's own", done.stdout)
        native, shadow, nested = (rows[mode] for mode in ("native", "kvm-shadow", "kvm-nested"))
        kept = [{row["row"]: row for row in figures}["map-touch-unmap-kept"] for figures in (native, shadow, nested)]
        # A fault of the guest's own, one of the shadow's, an INVLPG.
        self.assertEqual([round(row["memory_exits"]) for row in kept], [0, 3, 0])
        self.assertGreater(kept[1]["instructions"], 2 * kept[0]["instructions"])
        self.assertLess(kept[2]["instructions"], 1.05 * kept[0]["instructions"])


@foreign.needs(machine.KVM_SHADOW)
class ProfileTest(unittest.TestCase):
    def test_whose_instructions(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([PROFILE, "--mode", "kvm-shadow", "--rows", "map-touch-unmap-kept", "--scale", "50", "--out", folder],
                                  capture_output=True, text=True, timeout=SECONDS * 2, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            found = json.loads((pathlib.Path(folder) / "map-touch-unmap-kept-kvm-shadow.json").read_text())
        self.assertIn("(the row and an empty span): the same", done.stdout)
        functions = {(one["image"], one["function"]): one for one in found["functions"]}
        ops = found["operations"]
        # A fault of the guest's own, one of the shadow's, an INVLPG; each is left by a VMRUN.
        self.assertEqual(round(functions["exits", "[exit 0x4e: page fault]"]["calls"] / ops), 2)
        self.assertEqual(round(functions["exits", "[exit 0x79: INVLPG]"]["calls"] / ops), 1)
        self.assertEqual(round(functions["host/kvm", "kvm_handle_page_fault"]["calls"] / ops), 2)
        self.assertEqual(round(functions["host/kvm_amd", "svm_handle_exit"]["calls"] / ops), 3)
        # A program's page fault and system calls enter the guest's kernel, not the host's.
        self.assertEqual(round(functions["nopte-guest", "page_fault_entry"]["calls"] / ops), 1)


@foreign.needs(machine.KVM_SHADOW)
class DeathTest(unittest.TestCase):
    def fails(self, **parts):
        with tempfile.TemporaryDirectory() as name:
            boot = boots.make(pathlib.Path(name), machine.KVM_NESTED, ["true"], guest_mib=64, **parts)
            with self.assertRaises(launcher.BootError) as caught:
                launcher.run(machine.command(boot), boot.counters, SECONDS)
        return caught.exception

    def test_a_guest_that_is_no_kernel(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"text")
            file.flush()
            error = self.fails(guest=pathlib.Path(file.name))
        self.assertIn("the KVM monitor gave up: the kernel is no 64-bit ELF file", str(error))
        self.assertIn(b"nopte kvm monitor: the kernel is no 64-bit ELF file", error.console)

    def test_a_monitor_that_dies(self):
        with mock.patch.object(kvm_host, "MONITOR", images.MMLAT_EXIT):
            error = self.fails()
        self.assertEqual(error.reason, "reset")
        self.assertIn("Attempted to kill init", str(error))


if __name__ == "__main__":
    sys.exit(unittest.main())
