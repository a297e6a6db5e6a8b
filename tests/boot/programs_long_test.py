#!/usr/bin/python3
"""Debian's programs that take longer (programs.toml: long), each in a boot of its own."""

import functools
import unittest

import programs_test
from programs_test import images, machine


class LongTest(programs_test.Programs):
    """A method for each mode and program."""

    def run_program(self, mode, program):
        self.check(mode, [program])


for _mode in machine.MODES:
    for _program in programs_test.of(_mode, long=True):
        setattr(LongTest, f"test_{_mode}_{_program.name}", functools.partialmethod(LongTest.run_program, _mode, _program))


if __name__ == "__main__":
    images.prepare(build=False)
    unittest.main()
