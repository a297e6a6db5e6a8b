import pathlib
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401
import machine
from lib import launcher, packages, xen_host
from lib.errors import UserError
import launcher_test


class HiddenLinesTest(unittest.TestCase):
    TEXT = b"(XEN) one\r\n(XEN is a name\n(XEN) two\nnopte: mode\n\n(XEN) three\nend"
    SHOWN = b"(XEN is a name\nnopte: mode\n\nend"

    def test_lines_are_hidden_however_they_come(self):
        for size in range(1, len(self.TEXT) + 1):
            lines = launcher.HiddenLines(b"(XEN) ")
            parts = [lines.shown(self.TEXT[at:at + size]) for at in range(0, len(self.TEXT), size)]
            self.assertEqual(b"".join(parts) + lines.shown(b"", last=True), self.SHOWN, size)

    def test_what_may_become_a_hidden_line_is_held_until_it_does_not(self):
        lines = launcher.HiddenLines(b"(XEN) ")
        self.assertEqual(lines.shown(b"prompt> "), b"prompt> ")
        self.assertEqual(lines.shown(b"\n(XE"), b"\n")
        self.assertEqual(lines.shown(b"", last=True), b"(XE")

    def test_nothing_is_hidden_without_a_prefix(self):
        self.assertEqual(launcher.HiddenLines(b"").shown(b"(XEN) x"), b"(XEN) x")


class XenLauncherTest(unittest.TestCase):
    setUp = launcher_test.LauncherTest.setUp
    run_program = launcher_test.LauncherTest.run_program
    failure = launcher_test.LauncherTest.failure

    def test_hidden_lines_are_shown_by_a_boot_that_failed_alone(self):
        text = "print('(XEN) Panic on CPU 0:\\n(XEN) Could not construct domain 0')"
        error = self.failure(text, hidden=b"(XEN) ")
        self.assertEqual(error.reason, "xen")
        self.assertIn("Could not construct domain 0", str(error))
        seen = bytearray()
        run = self.run_program("print('(XEN) x\\nhello')\n"
                               "open(sys.argv[1], 'w').write('{\"event\":\"power_off\",\"status\":0}\\n')",
                               hidden=b"(XEN) ", output=seen.extend)
        self.assertEqual((run.console, bytes(seen)), (b"hello\n", b"hello\n"))


class XenHostTest(unittest.TestCase):
    def test_commas_do_not_part_a_module(self):
        text = xen_host.modules(pathlib.Path("/t/a,b"), "-- /bin/echo\x1fone, two", pathlib.Path("/t/c"))
        self.assertEqual(text, "/t/a,,b -- /bin/echo\x1fone,, two,/t/c")
        with self.assertRaises(UserError):
            xen_host.modules(pathlib.Path("/t/a b"), "")

    def test_what_xen_does_not_hand_over_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(UserError) as caught:
            xen_host.boot(pathlib.Path(folder), pathlib.Path(folder), b"", "x" * 1024, 64, "tcg")
        self.assertIn("1024 bytes", str(caught.exception))

    def test_a_package_that_cannot_be_had_is_named(self):
        missing = UserError("Debian's package for xen cannot be had: no network", "what to do")
        with mock.patch.object(packages, "fetch", side_effect=missing), self.assertRaises(UserError) as caught:
            xen_host.hypervisor()
        self.assertIn("xen", str(caught.exception))

    def test_its_memory_comes_on_top(self):
        boot = machine.Boot(machine.XEN_PV, "", "", "", pathlib.Path(), module_bytes=3 << 20, guest_mib=256)
        self.assertEqual(machine.machine_mib(boot), 256 + machine.XEN_MIB + 6)


if __name__ == "__main__":
    unittest.main()
