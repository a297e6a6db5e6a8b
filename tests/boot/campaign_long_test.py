"""A campaign that was cut short: what is done stays done, and only what is missing is made again."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CAMPAIGN = ROOT / "experiments" / "campaign"
SECONDS = 1800
CONFIG = """\
modes: [native]
workloads: [mmlat]
parameters:
  one: [--rows, anon-touch, --scale, 10]
  other: [--rows, anon-touch, --scale, 20]
"""


class ResumeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        installed = subprocess.run([ROOT / "tests" / "support" / "install-packages", "campaign"], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, check=False)
        if installed.returncode != 0:
            raise unittest.SkipTest(f"snakemake cannot be had: {installed.stdout.strip()}")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "two.yaml"
        self.config.write_text(CONFIG)

    def campaign(self, *arguments):
        done = subprocess.run([CAMPAIGN, "--config", self.config, "--out", self.folder / "out", "--jobs", "1", *arguments],
                              capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_only_what_is_missing_is_made_again(self):
        first = self.campaign()
        one, other = (self.folder / "out" / "runs" / name / "mmlat" / "native" for name in ("one", "other"))
        kept = (other / "results.json").stat().st_mtime_ns
        before = json.loads((one / "results.json").read_text())["rows"]
        shutil.rmtree(one)
        self.assertEqual(re.findall(r"^(to do|done) +(\w+)", self.campaign("--list"), re.MULTILINE),
                         [("to do", "one"), ("done", "other")])
        second = self.campaign()
        self.assertEqual((other / "results.json").stat().st_mtime_ns, kept)
        # The counts of a machine whose clock they are; and so the report is the same.
        self.assertEqual(json.loads((one / "results.json").read_text())["rows"], before)
        self.assertEqual(second.splitlines()[-5:], first.splitlines()[-5:])
        self.assertNotIn("to do", self.campaign("--list"))


if __name__ == "__main__":
    sys.exit(unittest.main())
