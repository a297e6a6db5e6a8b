import csv
import dataclasses
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

import support
from lib import call_tree, comparison, counters, merging, picture, plots, profile_symbols, profiler, report, results, tables
from lib.errors import UserError

PUBLISHED = json.loads((support.ROOT / "experiments" / "peers.json").read_text())


def made_up():
    """A comparison whose figures are invented: each mode is a fixed factor of the published Linux figure."""
    found = comparison.Comparison(["native", "nested", "shadow", "vma"], PUBLISHED["rows"], PUBLISHED["about"])
    for mode, factor, exits in (("native", 0.3, 0), ("nested", 0.31, 0), ("shadow", 0.9, 2), ("vma", 0.33, 1)):
        rows = {peer["name"]: (100, int((peer["linux"] or 1000) * 100 * factor), exits * 100, exits * 10_000)
                for peer in found.peers}
        found.by_mode[mode], failed = results.figures(mode, *support.mmlat_run(rows))
        assert not failed
        events = [support.mark("begin", "script", 0, **support.exits(0, 0, 0)),
                  support.mark("end", "script", int(5e7 * factor), **support.exits(exits * 1000, 5, exits * 100_000))]
        found.programs.setdefault("script", {})[mode] = results.whole_program("script", mode, events)
    found.misses = results.misses(found.by_mode, found.peers)
    found.facts = {"guest image SHA-256": "0" * 64}
    found.runs = [{"mode": "vma", "workload": "mmlat", "command": "qemu", "status": 0, "seconds": 1.0,
                   "power_off": counters.power_off(support.mmlat_run({})[1])}]
    return found


class ReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "report"

    def test_everything_is_there(self):
        report.write(made_up(), self.out)
        names = {path.name for path in self.out.iterdir()}
        self.assertLessEqual({"report.html", "results.csv", "results.json", "ratios.png", "means.png", "exits.png"}, names)
        for path in self.out.glob("*.png"):
            self.assertEqual(path.read_bytes()[:4], b"\x89PNG")
        text = (self.out / "report.html").read_text()
        self.assertGreaterEqual(text.count("data:image/png"), 3)
        data = json.loads((self.out / "results.json").read_text())
        self.assertEqual(data["facts"]["guest image SHA-256"], "0" * 64)
        lines = list(csv.DictReader(io.StringIO((self.out / "results.csv").read_text())))
        self.assertEqual(len(lines), len(PUBLISHED["rows"]) * 4 + 4)

    @mock.patch.object(plots, "all_plots", lambda _: {})
    def test_profiles_are_a_table_and_flame_graphs(self):
        found = made_up()
        report.write(found, self.out)
        self.assertFalse((self.out / "profiles.csv").exists())
        functions = {4: ("mmlat", "main"), 5: ("nopte-guest", "handle_syscall"), 6: ("xen", "pv_hypercall"), 7: ("host/kvm", "svm_handle_exit"),
                     8: ("exits", "[exit 0x4e: page fault]")}
        recording = call_tree.read(["node 1 0 4", "node 2 1 5", "node 3 2 6", "node 4 2 8", "node 5 4 7", "count 1 10 1", "count 2 20 4",
                                    "count 3 30 6", "count 4 0 2", "count 5 40 2", "cut end"])
        tree = call_tree.tree(recording, recording.cuts, lambda number: profile_symbols.Function(*functions[number]))
        found.profiles = [profiler.Profile("brk", "brk < grow", "xenpv", 2, tree)]
        report.write(found, self.out)
        rows = list(csv.DictReader(io.StringIO((self.out / "profiles.csv").read_text())))
        self.assertEqual([rows[0][name] for name in ("program", "guest kernel", "hypervisor", "exits", "hypercalls")],
                         ["5.0", "10.0", "35.0", "1.0", "3.0"])
        text = (self.out / "report.html").read_text()
        self.assertIn("brk &lt; grow, mode xenpv</summary><svg", text)
        self.assertEqual(json.loads((self.out / "results.json").read_text())["profiles"][0]["hypercalls"], 3)

    @mock.patch.object(plots, "all_plots", lambda _: {})
    def test_a_space_is_drawn_where_one_was_taken(self):
        found = made_up()
        report.write(found, self.out)
        self.assertFalse((self.out / "space.svg").exists())
        found.picture = picture.Picture("now", 5, [picture.Region(16, 4, 3, 0, False, [picture.Run(16, 2, 1, 3, 2)])], True, [])
        found.runs.append({"mode": "vma", "workload": "a picture of a space", "command": "qemu", "status": 0, "seconds": 1.0, "power_off": None})
        report.write(found, self.out)
        self.assertIn("mode vma, space 5", (self.out / "space.svg").read_text())
        self.assertIn("anonymous", (self.out / "space.txt").read_text())
        self.assertIn("<svg", (self.out / "report.html").read_text())

    @mock.patch.object(plots, "all_plots", lambda _: {})
    def test_a_report_replaces_a_report_and_nothing_else(self):
        report.write(made_up(), self.out)
        report.check_destination(self.out)
        report.write(made_up(), self.out)
        (self.out / "results.json").unlink()
        self.assertRaises(UserError, report.check_destination, self.out)

    @mock.patch.object(plots, "all_plots", lambda _: {"one.png": ("heading", "caption", b"png")})
    def test_a_failure_leaves_the_earlier_report_as_it_was(self):
        report.write(made_up(), self.out)
        before = {path.name: path.read_bytes() for path in self.out.iterdir()}
        with mock.patch.object(report, "as_html", side_effect=OSError(28, "No space left on device")):
            self.assertRaises(UserError, report.write, made_up(), self.out)
        self.assertEqual({path.name: path.read_bytes() for path in self.out.iterdir()}, before)
        self.assertEqual([path.name for path in self.out.parent.iterdir()], ["report"])

    def test_what_came_ahead_is_summed_where_it_is_counted(self):
        found = made_up()
        self.assertEqual(tables.ahead_rows(found), [])
        for number, figure in enumerate(list(found.by_mode["vma"].values())[:3]):
            figure.counters.update(pages_ahead=1000 * number, ahead_unused=30 * number, ahead_wasted=10 * number,
                                   frames_zeroed=300, frames_copied=200)
        found.script["native"].counters.update(pages_ahead=0, ahead_unused=0, ahead_wasted=0, frames_zeroed=0,
                                              frames_copied=0)
        self.assertEqual(tables.ahead_rows(found), [("mmlat, all rows", "vma", "3,000", "90", "30", "2.0%"),
                                                    ("busybox script", "native", "0", "0", "0", "-")])
        self.assertIn("pages installed ahead of their fault", tables.terminal(found))
        self.assertIn("Ahead of faults", report.as_html(found, {}))

    def test_missing_modes_and_rows_do_not_stop_a_report(self):
        found = made_up()
        found.modes = ["native", "vma"]
        for mode in ("nested", "shadow"):
            del found.by_mode[mode], found.script[mode]
        del found.by_mode["vma"]["brk"]
        report.write(found, self.out)
        self.assertIn("failed", tables.terminal(found))

    def test_one_mode_alone(self):
        found = made_up()
        found.modes = ["vma"]
        found.by_mode = {"vma": found.by_mode["vma"]}
        found.misses = results.misses(found.by_mode, found.peers)
        found.programs = {}
        report.write(found, self.out)
        self.assertIsNone(plots._ratios(found))
        self.assertNotIn("geometric mean", tables.terminal(found))

    def test_the_script_alone(self):
        found = made_up()
        found.by_mode, found.misses = {}, []
        report.write(found, self.out)
        self.assertTrue((self.out / "script.png").exists())
        self.assertIn("whole program", tables.terminal(found))

    def test_programs_beside_each_other(self):
        found = made_up()
        found.programs["perl"] = {mode: dataclasses.replace(figure, instructions=figure.instructions * 2, idle_ns=5e7)
                                  for mode, figure in found.script.items()}
        found.peers_programs = {"perl": {"linux": 300_000_000}}
        report.write(found, self.out)
        self.assertTrue((self.out / "programs.png").exists())
        rows = {(title, mode): cells for title, mode, *cells in tables.program_rows(found)}
        native = found.programs["perl"]["native"]
        self.assertEqual(rows["perl", "native"][-1], f"{(native.instructions + 5e7) / 3e8:.3f}")
        self.assertEqual(rows["", "vma"][-3:], [f"{found.programs['perl']['vma'].instructions / native.instructions:.3f}",
                                               f"{found.programs['perl']['vma'].modelled(1000) / native.instructions:.3f}",
                                               f"{(found.programs['perl']['vma'].instructions + 5e7) / 3e8:.3f}"])
        self.assertEqual(merging.load(self.out / "results.json").programs, found.programs)


if __name__ == "__main__":
    unittest.main()
