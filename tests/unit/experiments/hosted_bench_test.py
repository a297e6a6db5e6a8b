import json
import pathlib
import tempfile
import unittest

import support  # noqa: F401
from lib import errors, hosted_bench

PROGRAM = """#!/bin/sh
case "$*" in
  *list_tests*) printf 'tree/find/10\\ntree/find/1000\\n';;
  *) echo '{json}';;
esac
"""


def entry(name, ns, **counts):
    return {"name": name, "run_name": name, "real_time": ns, "iterations": 5, **counts}


class HostedBenchTest(unittest.TestCase):
    def program(self, *entries):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = folder / "program"
        path.write_text(PROGRAM.replace("{json}", json.dumps({"benchmarks": entries})))
        path.chmod(0o755)
        return path

    def test_rows_have_the_counts_that_the_operation_reports(self):
        rows = hosted_bench.parse(json.dumps({"benchmarks": [entry("engine/touch, near/1000", 12.5, entries=2.0, tables=0.0)]}))
        self.assertEqual(rows, [hosted_bench.Row("engine/touch, near", 1000, 12.5, {"entries": 2.0, "tables": 0.0}, None)])

    def test_an_operation_that_failed_is_an_error(self):
        failed = entry("tree/find/10", 1, error_occurred=True, error_message="no memory")
        with self.assertRaisesRegex(errors.UserError, "tree/find/10: no memory"):
            hosted_bench.parse(json.dumps({"benchmarks": [failed]}))

    def test_sizes_above_the_most_are_left_out(self):
        program = self.program()
        self.assertEqual(hosted_bench.names(program, ".", 999), ["tree/find/10"])
        self.assertEqual(hosted_bench.names(program, ".", 1000), ["tree/find/10", "tree/find/1000"])

    def test_nothing_to_measure_is_an_error(self):
        with self.assertRaisesRegex(errors.UserError, "no operation matches 'x' with at most 9 regions"):
            hosted_bench.names(self.program(), "x", 9)

    def test_a_program_that_fails_is_an_error_with_what_it_said(self):
        with self.assertRaises(errors.UserError):
            hosted_bench.names("/bin/false", ".", 9)

    def test_what_perf_counted(self):
        self.assertEqual(hosted_bench.perf_value("1234,,instructions:u,99,100.00,,\n"), 1234)
        self.assertIsNone(hosted_bench.perf_value("<not supported>,,instructions:u,0,100.00,,\n"))

    def test_the_table_relates_each_size_to_the_fewest(self):
        rows = [hosted_bench.Row("tree/find", 10, 20.0, {}, None), hosted_bench.Row("tree/find", 1000, 50.0, {}, None)]
        lines = hosted_bench.table(rows).splitlines()
        self.assertRegex(lines[2], r"^tree/find +10 +20 +1\.00")
        self.assertRegex(lines[3], r"^ +1,000 +50 +2\.50")

    def test_what_is_written_can_be_read_again(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        rows = [hosted_bench.Row("tree/find", 10, 20.0, {"entries": 1.0}, None),
                hosted_bench.Row("engine/touch", 10, 30.0, {}, 100.5)]
        hosted_bench.write(rows, folder / "new")
        self.assertEqual([hosted_bench.Row(**row) for row in json.loads((folder / "new" / "bench.json").read_text())], rows)
        self.assertEqual((folder / "new" / "bench.csv").read_text().splitlines()[2], "engine/touch,10,30.0,,,,,100.5")
        self.assertEqual((folder / "new" / "bench.png").read_bytes()[:4], b"\x89PNG")


if __name__ == "__main__":
    unittest.main()
