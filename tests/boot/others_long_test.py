#!/usr/bin/python3
"""A sample of Linux's own tests of its calls: what passes on this machine's Linux passes in the guest (tests/others/run)."""

import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ("futex", "core", "exec", "mincore", "memfd", "sigaltstack", "kcmp")


class OthersTest(unittest.TestCase):
    @unittest.skipIf(os.geteuid() != 0, "others' tests are run as root")
    def test_sample(self):
        done = subprocess.run([ROOT / "tests" / "others" / "run", *SAMPLE], capture_output=True, text=True, check=False)
        if done.returncode == 2 and "cannot be had" in done.stderr:
            self.skipTest(done.stderr.strip().splitlines()[-1])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
