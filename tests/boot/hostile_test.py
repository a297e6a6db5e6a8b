"""The container against a guest that tries everything: tests/boot/hostile, in every hypervisor mode."""

import pathlib
import re
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, comparison, counters, images, launcher  # noqa: E402

SECONDS = 120
GUEST_MIB = 64
MODES = ("nested", "shadow", "vma")
# A page-table interface each, tried by its file in tests/boot/hostile.
INTERFACES = ("kvmpv", "vmi", "lguest", "xen")
# What one of them makes its guest die of.
DEATHS = {
    "lguest": {
        "ring-call": "a call that it does not take",
        "ring-fault": "a call that it does not take",
        "ring-frame": "memory that the guest does not have",
        "ring-argument": "makes no sense",
    },
}
# Exits that the probes make, in every mode and where tables are not the guest's alone. Not among them: what no
# instruction makes, and what this TCG has no intercept or no instruction of (#AC, RDTSCP, ICEBP, RDPRU, XSETBV,
# INVLPGB, INVPCID, MCOMMIT, TLBSYNC; INVD exits as WBINVD).
EXITS = {"cr8_read", "cr0_write", "cr4_write", "cr8_write", "debug", "interrupt", "rdpmc", "cpuid", "invlpga",
         "io", "msr", "vmrun", "vmmcall", "vmload", "vmsave", "stgi", "clgi", "skinit", "monitor", "mwait", "wbinvd",
         *(f"dr{n}_write" for n in range(8))}
PAGING_EXITS = {"cr0_read", "cr3_read", "cr3_write", "invlpg"}
HOSTILE = images.GUEST.parent / "hostile-guest"
# Where a QEMU is not as the manual says, from this major version on: what it answers by itself, and exits that it does
# not make.
DEVIATIONS = {
    # It looks at the privilege before it looks whether there is such a register.
    0: ({"cr1 at CPL 3: expected 6, got 13", "cr15 at CPL 3: expected 6, got 13"}, set()),
    # Every read of a control register is one of CR0 to it (papers/caveats.md).
    10: (set(), {"cr3_read", "cr8_read"}),
}


class Hostile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def boot(self, mode, scenario=""):
        module = self.folder / "bundle"
        module.write_bytes(bundle.build([(boots.GUEST_PART, HOSTILE.read_bytes())]))
        line = machine.hypervisor_command_line(mode, GUEST_MIB, f"-- {mode} {scenario}".rstrip())
        boot = machine.Boot(mode, images.HYPERVISOR, module, line, self.folder / "counters", guest_mib=GUEST_MIB)
        return launcher.run(machine.command(boot), boot.counters, SECONDS)

    def test_no_mode_is_left_out(self):
        self.assertEqual({"native", *MODES, *INTERFACES}, set(machine.MODES))

    def test_everything_is_refused_as_documented(self):
        major = int(re.search(r"version (\d+)", comparison.qemu_version())[1])
        deviations, not_made = DEVIATIONS[max(first for first in DEVIATIONS if first <= major)]
        for mode in MODES + INTERFACES:
            with self.subTest(mode):
                done = self.boot(mode)
                text = done.console.decode()
                differ = set(re.findall(r"^hostile: (.*: expected \d+, got \d+)\r?$", text, re.MULTILINE))
                self.assertEqual(differ, deviations, text)
                last = f"{len(deviations)} differ" if deviations else "all as documented"
                self.assertRegex(text, rf"hostile: \d+ probes, \d+ calls, {last}\s*$")
                self.assertEqual(done.status, 1 if deviations else 0)
                seen = set(counters.power_off(done.events)["counters"]["exits"])
                wanted = EXITS | (PAGING_EXITS if mode != "nested" else set())
                self.assertEqual(wanted - seen, wanted & not_made)

    def test_a_guest_that_dies_is_reported(self):
        words = {"shutdown": "shut down", "fault-loop": "shut down", "halt": "halted with interrupts off"}
        for mode in MODES + tuple(DEATHS):
            for scenario, reason in DEATHS.get(mode, words).items():
                with self.subTest(mode, scenario=scenario):
                    with self.assertRaises(launcher.BootError) as caught:
                        self.boot(mode, scenario)
                    self.assertEqual(caught.exception.reason, "refused")
                    self.assertIn(reason, caught.exception.console.decode())
                    self.assertIn("rip 0x", caught.exception.console.decode())

    def test_a_full_pool_of_shadow_tables(self):
        for scenario in ("second-link", "giant-leaf"):
            with self.subTest(scenario):
                done = self.boot("shadow", scenario)
                self.assertEqual(done.status, 0, done.console.decode())
                self.assertGreater(counters.power_off(done.events)["counters"]["splits_dropped"], 0)

    def test_a_hypercall_is_short(self):
        """Every row of the comparison pays it: query, the guest's loop included."""
        for mode in MODES:
            with self.subTest(mode):
                text = self.boot(mode, "time").console.decode()
                self.assertLessEqual(int(text.split("query ")[1].split(",")[0]), 120, text)


if __name__ == "__main__":
    unittest.main()
