"""The plugin that counts page walks, in QEMU: its counts repeat, are what the model must give, and bad use has a message."""

import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, comparison, launcher, walks  # noqa: E402
from lib.errors import UserError  # noqa: E402

SECONDS = 120
GUEST_MIB = 128
MIB = 32
PAGES = MIB << 8
STEPS = 50_000
CHASE = walks.Program("chase-small", "chase", ["/bin/chase", "--mib", str(MIB), "--steps", str(STEPS)])
SECOND_LEVEL = 1536
ONE, LARGE, BOTH_SMALL, USUAL = ("one", "4 KiB", ""), ("one", "2 MiB", ""), ("two", "4 KiB", "4 KiB"), ("two", "4 KiB", "2 MiB")


def chase(mode):
    done, lines, _ = walks.run(CHASE, mode, GUEST_MIB, SECONDS)
    rows, failed = walks.walked(CHASE, mode, done, lines)
    assert not failed, failed
    return rows[0], lines, done


class CountsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.runs = {mode: chase(mode) for mode in ("native", "nested", "shadow", "vma")}

    def test_a_second_run_gives_the_same(self):
        for mode in ("native", "vma"):
            with self.subTest(mode):
                _, lines, done = chase(mode)
                self.assertEqual(lines, self.runs[mode][1])
                self.assertEqual(done.events, self.runs[mode][2].events)

    def test_the_plugin_changes_no_count(self):
        with tempfile.TemporaryDirectory() as folder:
            boot = boots.make(pathlib.Path(folder), "vma", CHASE.command, extra=[(walks.CHASE, "/bin/chase")],
                              guest_mib=GUEST_MIB)
            done = launcher.run(machine.command(boot), boot.counters, SECONDS)
        self.assertEqual(done.events, self.runs["vma"][2].events)

    def test_a_step_misses_as_often_as_the_second_level_is_too_small(self):
        for mode, (found, _, _) in self.runs.items():
            with self.subTest(mode):
                expected = 1 - SECOND_LEVEL / PAGES
                self.assertAlmostEqual(found.models[ONE]["walks"], expected, delta=0.02)
                # Each reads the leaf's entry: the 16 page directories' entries that there are stay in the caches.
                self.assertAlmostEqual(found.models[ONE]["references"], expected, delta=0.03)
                self.assertLess(found.models[LARGE]["walks"], 0.01)
                # And the data's page in the nested tables; the leaf tables' pages are too many for the nested TLB.
                self.assertGreater(found.models[BOTH_SMALL]["references"], 2 * expected - 0.05)

    def test_what_a_mode_has_is_seen(self):
        for mode, (found, _, _) in self.runs.items():
            with self.subTest(mode):
                self.assertEqual(found.used, USUAL if mode == "nested" else ONE)

    def test_entries_and_exits_are_those_of_the_machine(self):
        for mode in ("nested", "shadow", "vma"):
            with self.subTest(mode):
                _, lines, done = self.runs[mode]
                marks = [line for line in lines if line["event"] == "mark"]
                events = [event for event in done.events if event["event"] == "mark"]
                spans = [sum(event["counters"][f"exits_{kind}"] for kind in ("memory", "platform", "other")) for event in events]
                self.assertEqual(marks[-1]["events"]["exits"] - marks[0]["events"]["exits"], spans[-1] - spans[0])
        self.assertEqual(self.runs["native"][1][-1]["events"]["entries"], 0)


class BadUseTest(unittest.TestCase):
    def refused(self, *plugin):
        with tempfile.TemporaryDirectory() as folder:
            boot = boots.make(pathlib.Path(folder), "native", ["true"], guest_mib=GUEST_MIB)
            with self.assertRaises(launcher.BootError) as caught:
                launcher.run(machine.command(boot) + list(plugin), boot.counters, SECONDS)
        return str(caught.exception)

    def test_arguments(self):
        for arguments in ("", ",out=/nonexistent/folder/file,mark=1", ",out=/dev/null"):
            self.assertIn("needs out=FILE", self.refused("-plugin", f"{walks.PLUGIN}{arguments}"))

    def test_two_processors(self):
        self.assertIn("one processor", self.refused("-smp", "2", "-plugin", f"{walks.PLUGIN},out=/dev/null,mark=1"))

    def test_a_qemu_without_plugins(self):
        with tempfile.TemporaryDirectory() as folder:
            qemu = pathlib.Path(folder) / machine.QEMU
            qemu.write_text("#!/bin/sh\necho '-accel [accel=]accelerator'\n")
            qemu.chmod(0o755)
            with mock.patch.dict(os.environ, {"PATH": f"{folder}:{os.environ['PATH']}"}):
                self.assertRaisesRegex(UserError, "built without plugins", walks.require)
        walks.require()

    def test_an_image_without_the_mark(self):
        self.assertRaisesRegex(UserError, "functions that take a mark", walks.mark_address, walks.CHASE)

    def test_lost_marks(self):
        done, lines, _ = walks.run(CHASE, "native", GUEST_MIB, SECONDS)
        with self.assertRaisesRegex(UserError, "the plugin saw 5 marks, the machine 6"):
            walks.walked(CHASE, "native", done, lines[1:])


class ProgramsTest(unittest.TestCase):
    def test_the_large_one_is_asked_for(self):
        names = {large: [program.name for program in walks.programs([], ["true"], large)] for large in (False, True)}
        self.assertEqual(names[False], ["chase-64m", "script", "mmlat"])
        self.assertIn("chase-1g", names[True])
        self.assertGreater(comparison.LARGE_GUEST_MIB, 1024)


if __name__ == "__main__":
    unittest.main()
