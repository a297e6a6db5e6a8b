import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support

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
        (folder / "results.json").write_text(json.dumps({"modes": ["native"], "rows": {"native": []}, "script": {},
                                                         "published": published}))
        done = run("update_figures.py", folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lacks", done.stderr)
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
