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


if __name__ == "__main__":
    unittest.main()
