"""The native image under Debian's KVM as a user meets it: a shell; a machine that KVM does not run on."""

import pathlib
import sys
import tempfile
import unittest

import foreign
import session_test

import machine
from lib import boots, launcher

MODE = machine.KVM_SHADOW


@foreign.needs(MODE)
class ShellTest(session_test.TerminalTest):
    def test_a_shell(self):
        self.talk(MODE)

    def test_the_way_out(self):
        """Of QEMU, not of a mode."""


@foreign.needs(MODE)
class RefusalTest(unittest.TestCase):
    def test_a_processor_without_svm(self):
        with tempfile.TemporaryDirectory() as name:
            boot = boots.make(pathlib.Path(name), MODE, ["true"], guest_mib=64)
            boot.cpu_off = ("svm",)
            with self.assertRaises(launcher.BootError) as caught:
                launcher.run(machine.command(boot), boot.counters, session_test.SECONDS * 3)
        self.assertEqual(caught.exception.reason, "refused")
        self.assertIn("the kernel does not take the module kvm-amd.ko: Operation not supported", str(caught.exception))
        self.assertIn("KVM needs a processor with SVM", str(caught.exception))
        # Linux 6.1's, and 6.12's.
        self.assertRegex(caught.exception.console, rb"no hardware support for 'kvm_amd'|kvm_amd: SVM not supported by CPU",
                         "the kernel's own last words")


if __name__ == "__main__":
    sys.exit(unittest.main())
