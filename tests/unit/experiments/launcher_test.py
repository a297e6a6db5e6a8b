import io
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401
from lib import launcher
from lib.errors import UserError

# A stand-in for QEMU: a Python program that is told what to print, to write to the counters file and to end with.
POWER_OFF = "open(sys.argv[1], 'w').write('{\"event\":\"power_off\",\"status\":%d}\\n')"


class LauncherTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.counters = pathlib.Path(folder.name) / "counters"

    def run_program(self, text, **options):
        options.setdefault("timeout", 60)
        command = [sys.executable, "-u", "-c", "import sys, os, time\n" + text, str(self.counters)]
        return launcher.run(command, self.counters, **options)

    def failure(self, text, **options):
        with self.assertRaises(launcher.BootError) as caught:
            self.run_program(text, **options)
        return caught.exception

    def test_all_eight_bits_of_the_status(self):
        for status in (0, 1, 127, 128, 255):
            found = self.run_program(f"print('hello'); {POWER_OFF % status}; sys.exit(3)")
            self.assertEqual((found.status, found.console), (status, b"hello\n"))

    def test_a_time_limit_shows_what_was_printed_last(self):
        error = self.failure("print('one\\r\\ntwo'); time.sleep(60)", timeout=1)
        self.assertEqual(error.reason, "timeout")
        self.assertIn("| two", str(error))

    def test_silence_is_noticed(self):
        error = self.failure("time.sleep(60)", timeout=60, silence=0.5)
        self.assertEqual(error.reason, "silence")
        self.assertIn("--accel tcg", str(error))

    def test_an_end_without_power_off_is_a_failure(self):
        self.assertEqual(self.failure("print('x')").reason, "reset")
        self.assertEqual(self.failure("sys.exit(35)").reason, "failed")
        self.assertEqual(self.failure("os.kill(os.getpid(), 9)").reason, "killed")
        refused = self.failure("print('no such machine', file=sys.stderr); sys.exit(1)")
        self.assertEqual(refused.reason, "qemu")
        self.assertIn("no such machine", str(refused))

    def test_a_machine_that_ended_itself_failed(self):
        text = "open(sys.argv[1], 'w').write('{\"event\":\"power_off\",\"status\":126,\"reason\":\"no SVM\"}\\n')"
        error = self.failure(text)
        self.assertEqual(error.reason, "refused")
        self.assertIn("no SVM", str(error))

    def test_what_a_panic_is_about_is_shown_above_its_last_lines(self):
        error = self.failure("print('one\\nKernel panic: why'); [print('register', n) for n in range(30)]")
        shown = [line for line in str(error).splitlines() if line.startswith("    | ")]
        self.assertEqual((shown[0], len(shown)), ("    | Kernel panic: why", 13))
        # The panic's own line, and not the function that is called so.
        error = self.failure("print('Kernel panic: why\\n panic+0x118/0x2f4'); [print('register', n) for n in range(12)]")
        self.assertIn("| Kernel panic: why", str(error))
        error = self.failure("[print('line', n) for n in range(30)]; print('panic: last')")
        self.assertEqual(str(error).count("| panic: last"), 1)

    def test_what_to_do_may_come_with_the_reason(self):
        line = '{"event":"power_off","status":1,"reason":"no SVM","todo":"another processor"}'
        error = self.failure(f"open(sys.argv[1], 'w').write({line!r} + chr(10)); sys.exit(3)")
        self.assertIn("the machine stopped: no SVM", str(error))
        self.assertEqual(error.todo, "another processor")

    def test_counters_of_an_earlier_run_do_not_count(self):
        self.counters.write_text('{"event":"power_off","status":0}\n')
        self.assertEqual(self.failure("pass").reason, "reset")

    def test_a_missing_qemu_says_what_to_install(self):
        with self.assertRaisesRegex(UserError, "apt-get install"):
            launcher.run(["/nonexistent/qemu"], self.counters, 5)

    def test_typed_input_reaches_the_console_and_ends(self):
        read, write = os.pipe()
        os.write(write, b"typed\n")
        os.close(write)
        self.addCleanup(os.close, read)
        found = self.run_program(f"print('ready'); print(os.read(0, 6)); print(os.read(0, 1)); {POWER_OFF % 0}",
                                 keyboard=read)
        self.assertEqual(found.console, b"ready\nb'typed\\n'\nb'\\x04'\n")

    def test_output_is_shown_as_it_comes(self):
        shown = []
        self.run_program(f"print('a'); {POWER_OFF % 0}", output=shown.append)
        self.assertEqual(b"".join(shown), b"a\n")

    def test_a_pipe_gets_the_programs_lines_alone(self):
        for size in (1, 2, 3, 5, 100):
            text = b"nopte: mode vma\r\nno\r\n\r\nnoptical\rx\nnop"
            out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
            with mock.patch("sys.stdout", out), mock.patch("sys.stderr", err):
                console = launcher.StdoutConsole()
                for at in range(0, len(text), size):
                    console(text[at:at + size])
                console.finish()
            self.assertEqual(err.buffer.getvalue(), b"nopte: mode vma\n")
            self.assertEqual(out.buffer.getvalue(), b"no\n\nnoptical\rx\nnop")


if __name__ == "__main__":
    unittest.main()
