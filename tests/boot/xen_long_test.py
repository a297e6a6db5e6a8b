"""The guest as Debian's Xen boots it, as a user meets it: a shell, typed at through Xen's console."""

import sys
import unittest

import foreign
import session_test

import machine


@foreign.needs(machine.XEN_PV)
class ShellTest(session_test.TerminalTest):
    def test_a_shell(self):
        self.talk(machine.XEN_PV)

    def test_the_way_out(self):
        """Of QEMU, not of a mode."""


if __name__ == "__main__":
    sys.exit(unittest.main())
