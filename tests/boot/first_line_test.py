#!/usr/bin/python3
"""python3 -c 'print(1)': the guest's whole boot until that line, held against Debian's Linux from the program's exec on.

first_line_test.py [MODE...]: prints the figures of these modes and of Linux, in instructions."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import first_line, images  # noqa: E402
from lib.errors import UserError  # noqa: E402

# Of what Linux takes from the exec on. What is asked for is 1.3, which the boot without the firmware nearly has (papers/caveats.md).
_FROM_EXEC = 1.07
_FROM_START = 1.47


class FirstLineTest(unittest.TestCase):
    def test_native(self):
        try:
            linux = first_line.on_linux()
        except UserError as error:
            self.skipTest(f"Debian's Linux or its packages cannot be had: {error}")
        guest = first_line.in_guest("native")
        self.assertLessEqual(guest.after_exec, _FROM_EXEC * linux.after_exec)
        self.assertLessEqual(guest.after_start, _FROM_START * linux.after_exec)


def show(modes):
    linux = first_line.on_linux()
    print(f"{'Linux':<10} {linux.after_exec:>12,} from the exec on")
    for mode in modes:
        guest = first_line.in_guest(mode)
        print(f"{mode:<10} {guest.after_exec:>12,} ({guest.after_exec / linux.after_exec:.2f} of Linux's) {guest.after_start:>12,} from the machine's "
              f"start ({guest.after_start / linux.after_exec:.2f})")


if __name__ == "__main__":
    images.prepare(build=False)
    if sys.argv[1:] and all(mode in machine.MODES for mode in sys.argv[1:]):
        show(sys.argv[1:])
    else:
        unittest.main()
