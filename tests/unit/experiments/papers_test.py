import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support
import machine
from lib import peers

PAPERS = support.ROOT / "papers"
sys.path.insert(0, str(PAPERS))

import floor_tables  # noqa: E402
SCRIPTS = ("update_figures.py", "update_census.py")


def run(script, *arguments):
    return subprocess.run([sys.executable, PAPERS / script, *arguments], capture_output=True, text=True, check=False)


class PapersTest(unittest.TestCase):
    def test_every_table_is_that_of_the_kept_figures(self):
        for script in SCRIPTS:
            with self.subTest(script):
                done = run(script, "--check")
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_comparison_of_some_modes_is_refused(self):
        before = (PAPERS / "figures" / "compare.json").read_bytes()
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        published = json.loads((support.ROOT / "experiments" / "peers.json").read_text())

        def refused(peers, modes, published):
            (folder / "results.json").write_text(json.dumps({"modes": modes, "rows": {mode: [] for mode in modes}, "programs": {"script": dict.fromkeys(modes)},
                                                             "peers": dict.fromkeys(peers), "published": published}))
            done = run("update_figures.py", folder)
            self.assertEqual(done.returncode, 2)
            self.assertIn("run experiments/compare --modes all --peers --out", done.stderr)
            return done.stderr.partition(" lacks ")[2].partition(": run ")[0]

        self.assertIn("mode vma, ", refused(peers.NAMES, ["native"], published))
        self.assertEqual(refused(peers.NAMES, machine.ALL_MODES[:-1], published), f"mode {machine.ALL_MODES[-1]}")
        self.assertEqual(refused(peers.NAMES[:-1], machine.ALL_MODES, published), f"peer {peers.NAMES[-1]}")
        published["rows"][0]["linux"] += 1
        self.assertIn("experiments/peers.json", refused(peers.NAMES, machine.ALL_MODES, published))
        self.assertEqual((PAPERS / "figures" / "compare.json").read_bytes(), before)

    def test_what_is_no_report_is_refused(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for script in SCRIPTS:
            with self.subTest(script):
                done = run(script, folder / "nothing")
                self.assertEqual(done.returncode, 2)
                self.assertIn("first", done.stderr)


class SlowerTest(unittest.TestCase):
    """What takes more than before the fast paths has its reason, and each reason its row."""

    BASE = {("brk", mode): {"instructions": 1000.0, "exits": 1.0} for mode in ("native", "vma", "xen")}

    def data(self, **modes):
        return {"rows": [{"row": "brk", "title": "brk", "modes": {mode: {"instructions": instructions, "memory_exits": count}
                                                                 for mode, (instructions, count) in modes.items()}}]}

    def test_those_that_are_kept(self):
        data = json.loads((PAPERS / "figures" / "compare.json").read_text())
        self.assertEqual(floor_tables.problems(data, floor_tables.before(), floor_tables.reasons()), [])

    def test_more_than_two_percent_is_slower_and_so_is_an_exit(self):
        data = self.data(native=(1020.0, 0), vma=(1000.0, 1.1), xen=(1020.1, 1.0))
        self.assertEqual([(row["row"], mode) for row, mode, _, _ in floor_tables.slower(data, self.BASE)], [("brk", "vma"), ("brk", "xen")])

    def test_each_has_a_reason_and_each_reason_a_row(self):
        data = self.data(native=(1000.0, 1.0), vma=(1100.0, 1.0), xen=(1030.0, 1.0))
        reason = {"rows": ["brk"], "modes": ["vma", "x*"], "reason": "why"}
        self.assertEqual(floor_tables.problems(data, self.BASE, [reason]), [])
        missing, = floor_tables.problems(data, self.BASE, [reason | {"modes": ["vma"]}])
        self.assertTrue(missing.startswith("xen, brk: "))
        unused, = floor_tables.problems(data, self.BASE, [reason, {"rows": ["brk", "getpid"], "modes": ["native"], "reason": "old"}])
        self.assertIn("brk, getpid in native fits no row", unused)
        # Another that fits what the first explains is of no row.
        self.assertEqual(len(floor_tables.problems(data, self.BASE, [reason, reason | {"modes": ["*"]}])), 1)

    def test_the_table_has_them_in_their_order(self):
        data = self.data(native=(1030.0, 1.0), vma=(1100.0, 1.0), xen=(1015.0, 1.0))
        table = floor_tables.slower_table(data, self.BASE, [{"rows": ["brk"], "modes": ["vma"], "reason": "why"}])
        self.assertEqual(table[2:], ["| brk | vma | 1,000 | 1 | 1,100 | 1 | +10.0% | why |",
                                     "| brk | native | 1,000 | 1 | 1,030 | 1 | +3.0% | **none is known** |", "",
                                     "2 of 3 figures take over 2% more than before. Between 1 and 2%: brk (xen +1.5%)."])


class ForksTest(unittest.TestCase):
    def test_a_region_is_what_many_take_over_few(self):
        rows = {"fork-64m": {"native": 500, "vma": 1000}, "fork-10": {"native": 60_000, "vma": 2000}, "fork-1k": {"native": 2000, "vma": 9000},
                "fork-60k": {"native": 60_000 + 59_990 * 3, "vma": None}}
        data = {"means": dict.fromkeys(("native", "vma")),
                "rows": [{"row": row, "modes": {mode: value and {"instructions": value} for mode, value in modes.items()}} for row, modes in rows.items()]}
        base = {("fork-64m", mode): {"instructions": 20_000} for mode in ("native", "vma")}
        lines = floor_tables.fork_lines(data, base, [{"name": "fork-64m", "linux": 100_000}])
        self.assertEqual(lines[2:4], ["| native | 20,000 | 500 | 40.0 × | 100,000 | 200 × |", "| vma | 20,000 | 1,000 | 20.0 × | 100,000 | 100 × |"])
        self.assertEqual(lines[7:], ["| native | 60,000 | 2,000 | 239,970 | 3 |"])


if __name__ == "__main__":
    unittest.main()
