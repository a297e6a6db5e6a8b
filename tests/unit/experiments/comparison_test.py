import argparse
import contextlib
import io
import unittest
from unittest import mock

import support  # noqa: F401

from lib import comparison, side_by_side  # noqa: E402
from lib.errors import UserError  # noqa: E402


class RunTest(unittest.TestCase):
    def test_what_cannot_be_made_ready_fails_under_its_own_name(self):
        options = argparse.Namespace(modes=["native", "kvm-shadow"], workloads=("script",), check=False, walks=False, profile="", large=False,
                                     guest_mib=1024, scale=100, rows=None, timeout=1, peer_timeout=1)
        said = io.StringIO()
        with mock.patch.object(comparison, "facts", lambda guest_mib: {}), contextlib.redirect_stderr(said), \
                mock.patch.object(comparison.boots, "make", side_effect=UserError("no such package")):
            found = comparison.gather(options, side_by_side.run(comparison.jobs(options), 1))
        self.assertEqual(found.problems, [f"{mode}, script: no such package" for mode in options.modes])
        self.assertEqual(said.getvalue().splitlines(), ["[1/2] kvm-shadow: script  FAILED", "[2/2] native: script  FAILED"])


if __name__ == "__main__":
    unittest.main()
