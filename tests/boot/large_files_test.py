#!/usr/bin/python3
"""Files of the user that are large beside the hypervisor's own memory: what fits natively fits in every mode, and where
it does not fit, the message says what would make it."""

import pathlib
import random
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, launcher  # noqa: E402


def boot(mode, mib, guest_mib, command):
    with tempfile.TemporaryDirectory(prefix="nopte-test-") as name:
        folder = pathlib.Path(name)
        given = folder / "given"
        contents = random.Random(mib).randbytes(mib << 20)
        given.write_bytes(contents)
        made = boots.make(folder, mode, ["/bin/busybox", "sh", "-c", command], extra=[(given, "/given")], guest_mib=guest_mib)
        done = launcher.run(machine.command(made), made.counters, 240)
        return zlib.crc32(contents), done.status, done.console.decode(errors="replace")


class LargeFilesTest(unittest.TestCase):
    def test_a_tenth_of_memory_fits_in_every_mode(self):
        for mode in ("native", "shadow", "vma", "xen"):
            with self.subTest(mode=mode):
                crc, status, console = boot(mode, 96, machine.GUEST_MIB, "crc32 /given; exit 7")
                self.assertEqual(status, 7, console)
                self.assertIn(f"{crc:08x}", console)

    def test_too_much_names_the_option(self):
        for mode in ("native", "vma"):
            with self.subTest(mode=mode):
                _, status, console = boot(mode, 29, 64, "exit 7")
                self.assertEqual(status, 1, console)
                self.assertIn("--memory", console)


if __name__ == "__main__":
    unittest.main()
