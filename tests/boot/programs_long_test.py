#!/usr/bin/python3
"""Debian's programs that tests/run leaves out: those that take longer (programs.toml: long), natively and in vma each in a boot
of its own; in every other mode all, in two."""

import functools
import unittest

import programs_test
from programs_test import USUAL, images, machine


class LongTest(programs_test.Programs):
    """A method for each boot."""

    def run_programs(self, mode, chosen):
        self.check(mode, chosen)


def _add(name, mode, chosen):
    setattr(LongTest, f"test_{name}", functools.partialmethod(LongTest.run_programs, mode, chosen))


for _mode in machine.MODES:
    _left = programs_test.of(_mode, long=True)
    if _mode in USUAL:
        for _program in _left:
            _add(f"{_mode}_{_program.name}", _mode, [_program])
    else:
        for _long in (False, True):
            _add(f"{_mode}_{'longer' if _long else 'shorter'}", _mode, [_program for _program in _left if _program.long == _long])


if __name__ == "__main__":
    images.prepare(build=False)
    unittest.main()
