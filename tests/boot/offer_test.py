#!/usr/bin/python3
"""What the guest does when the hypervisor offers less than it can use: page tables as on the bare machine where that can
work, else the end, with a message that names what it looked for."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, launcher  # noqa: E402

REFUSED_STATUS = 125
LOOKED_FOR = "memory calls (ABI version 1), xen, vmi, lguest, kvmpv"

# Processes come and go and pages change their rights: stale translations would show.
COMMAND = "sh /script.sh >/dev/null && echo in user mode && exit 7"


def boot(mode, *hide):
    with tempfile.TemporaryDirectory(prefix="nopte-test-") as folder:
        made = boots.make(pathlib.Path(folder), mode, ["/bin/busybox", "sh", "-c", COMMAND], guest_mib=128, hide=hide,
                          verbose=True)
        done = launcher.run(machine.command(made), made.counters, 60)
    return done.status, done.console.decode(errors="replace")


class OfferTest(unittest.TestCase):
    def refused(self, mode, hide, *words):
        with self.subTest(mode=mode, hide=hide):
            status, console = boot(mode, *hide)
            self.assertEqual(status, REFUSED_STATUS, console)
            self.assertIn("nopte guest: cannot boot: ", console)
            for word in words:
                self.assertIn(word, console)
            self.assertNotIn("in user mode", console)

    def falls_back(self, mode, *hide):
        with self.subTest(mode=mode, hide=hide):
            status, console = boot(mode, *hide)
            self.assertEqual(status, 7, console)
            self.assertIn(f"the hypervisor offers none of {LOOKED_FOR}", console)
            self.assertIn("nopte: mode native", console)
            self.assertIn("in user mode", console)

    def test_no_memory_calls(self):
        self.refused("vma", ["memory"], "offers no memory calls", LOOKED_FOR)

    def test_parts_of_the_memory_calls(self):
        for name in ("queue", "words", "usage", "installed"):
            with self.subTest(hide=name):
                status, console = boot("vma", name)
                self.assertEqual(status, 7, console)
                self.assertIn("nopte: mode vma", console)
                self.assertIn("in user mode", console)

    def test_no_xen_interface(self):
        self.refused("xen", ["xen"], "does not offer xen", LOOKED_FOR)

    def test_a_told_shadow_that_is_not_offered_is_a_shadow(self):
        for mode in ("vmi", "lguest", "kvmpv"):
            self.falls_back(mode, mode)

    def test_shadow_and_nested_offer_no_interface(self):
        for mode in ("shadow", "nested"):
            self.falls_back(mode)

    def test_an_offered_interface_is_used_in_silence(self):
        for mode in machine.MODES:
            if mode in ("native", "nested", "shadow"):
                continue
            with self.subTest(mode=mode):
                status, console = boot(mode)
                self.assertEqual(status, 7, console)
                self.assertNotIn("offers", console)
                self.assertIn(f"nopte: mode {mode}", console)

    def test_no_platform_calls(self):
        # Such a guest cannot even say so: what it stops for is the hypervisor's message.
        for mode in ("vma", "shadow"):
            with self.subTest(mode=mode), self.assertRaises(launcher.BootError) as caught:
                boot(mode, "platform")
            self.assertIn("halted with interrupts off", str(caught.exception))

    def test_an_older_version(self):
        for mode in ("vma", "nested", "xen", "lguest"):
            self.refused(mode, ["version"], "older than version 1", LOOKED_FOR)


if __name__ == "__main__":
    unittest.main()
