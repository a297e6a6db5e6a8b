import contextlib
import io
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import support
from lib import launcher, side_by_side
from lib.errors import UserError
from lib.side_by_side import Job

# A job whose program lives until it is ended: it says its number first.
SLEEPER = """
import pathlib, sys
sys.path.insert(0, {experiments!r})
from lib import launcher, side_by_side
def sleep(console):
    launcher.run(["/bin/sh", "-c", "echo $$; exec sleep 1000"], pathlib.Path({folder!r}) / "counters", None,
                 output=lambda data: print(data.decode(), end="", flush=True))
side_by_side.run([side_by_side.Job("a", str(n), sleep) for n in range(4)], 2)
"""


def quietly(jobs, width):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        return side_by_side.run(jobs, width), said.getvalue()


class RunTest(unittest.TestCase):
    def test_outcomes_are_in_the_order_of_the_jobs(self):
        begun = []

        def job(name, weight):
            return Job("mode", name, lambda _: begun.append(name) or name, weight)

        outcomes, said = quietly([job("a", 0), job("b", 2), job("c", 1)], 1)
        self.assertEqual([outcome.value for outcome in outcomes], ["a", "b", "c"])
        self.assertEqual(begun, ["b", "c", "a"])
        self.assertRegex(said, r"^\[1/3\] mode: b  \d+\.\d s\n\[2/3\] mode: c .*\n\[3/3\] mode: a .*\n$")

    def test_two_run_at_a_time(self):
        both = threading.Barrier(2)
        outcomes, _ = quietly([Job("a", "b", lambda _: both.wait(60) >= 0)] * 2, 2)
        self.assertEqual([outcome.value for outcome in outcomes], [True, True])

    def test_one_that_fails_is_told_and_the_others_go_on(self):
        def fail(_):
            raise UserError("no")

        outcomes, said = quietly([Job("a", "x", fail), Job("a", "y", lambda _: 5)], 1)
        self.assertEqual((str(outcomes[0].error), outcomes[1].value, outcomes[1].error), ("no", 5, None))
        self.assertIn("[1/2] a: x  FAILED\n", said)

    def test_an_error_of_this_program_is_not_hidden(self):
        with self.assertRaises(ZeroDivisionError):
            quietly([Job("a", "x", lambda _: 1 // 0)], 1)
        # Nothing can be run in this program afterwards: it ends.
        self.addCleanup(launcher._ending.clear)

    def test_a_signal_ends_what_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            text = SLEEPER.format(experiments=str(support.ROOT / "experiments"), folder=folder)
            with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
                running = [int(process.stdout.readline()) for _ in range(2)]
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(60), 128 + signal.SIGTERM)
            for pid in running:
                self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())


class ProcessorTest(unittest.TestCase):
    def test_what_a_boot_used_is_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "counters"
            text = ("import time\nwhile time.process_time() < 0.3: pass\n"
                    f"open({str(path)!r}, 'w').write('{{\"event\": \"power_off\", \"status\": 0}}')")
            done = launcher.run([sys.executable, "-c", text], path, 60)
        self.assertGreaterEqual(done.processor, 0.25)


class ProgressTest(unittest.TestCase):
    def test_a_terminal_shows_which_rows_were_reached(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        with contextlib.redirect_stderr(Terminal()) as said:
            progress = side_by_side.Progress(2)
            one, other = progress.start("vma", "mmlat"), progress.start("Linux", "script")
            one.console(b"row brk ops 1\nrow fo")
            other.console(b"== pipes\n")
            one.console(b"rk-small ops 2\n")
            other.failed()
        self.assertTrue(said.getvalue().endswith("\r\x1b[K[1/2] Linux: script  FAILED\n\r\x1b[K[1/2] vma: mmlat  fork-small"), said.getvalue())
        self.assertIn("[0/2] vma: mmlat  brk | Linux: script  pipes", said.getvalue())


if __name__ == "__main__":
    unittest.main()
