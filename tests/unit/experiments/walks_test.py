import csv
import io
import json
import pathlib
import tempfile
import unittest
from unittest import mock

import report_test
import support
from lib import comparison, plots, report, results, tables, walk_plots, walk_tables, walks
from lib.errors import UserError

MODES = ("native", "nested", "vma")


def plugin_line(event, factor, nested=False, **events):
    """A line of the plugin, in which every count of model n is `factor` × (n + 1), by each owner and stream."""
    counts = ("first_level_misses", "walks", "references", "nested_references")
    streams = {owner: {stream: 1 for stream in ("data", "code")} for owner in ("hypervisor", "kernel", "program")}

    def of(value):
        return {owner: {stream: value for stream in both} for owner, both in streams.items()}

    return {"event": event, "processor": "P", "nested": nested, "events": {"pages": 0, "small_pages": 0} | events,
            "accesses": of(factor),
            "models": [{"dimensions": model[0], "guest": model[1], "nested": model[2],
                        **of({name: factor * (index + 1) for name in counts})} for index, model in enumerate(walks.MODELS)]}


class Run:
    def __init__(self, rows):
        self.console, self.events = support.mmlat_run(rows)


def made_up():
    """In vma the program takes many exits and a third of nested's references, elsewhere none."""
    found = []
    for mode in MODES:
        for program, row in (("chase-64m", "chase"), ("mmlat", "anon-touch"), ("mmlat", "brk")):
            many = 2 if mode == "vma" else 0
            figure = results.Figure(row if program == "mmlat" else program, mode, 10, 100.0, 0.0, many, 0.0, 0.0, {})
            models = {model: {"first_level_misses": 3.0, "walks": 2.0, "references": 100.0 * (index + 1),
                              "nested_references": 0.0} for index, model in enumerate(walks.MODELS)}
            found.append(walks.Walked(program, figure, mode == "nested", 1.0, {}, 50.0, models))
    return found


class WalkedTest(unittest.TestCase):
    program = walks.Program("mmlat", "mmlat", [])

    def walked(self, lines, rows=None, program=None):
        return walks.walked(program or self.program, "vma", Run(rows or {"brk": (10, 1000, 20, 500)}), lines)

    def lines(self, nested=False):
        # begin and end of the empty span, begin and end of the row's.
        return [plugin_line("mark", factor, nested) for factor in (10, 11, 20, 41)] + \
               [plugin_line("end", 50, nested, pages=100, small_pages=80)]

    def test_a_span_is_the_difference_of_its_marks_without_the_empty_one(self):
        (found,), failed = self.walked(self.lines())
        self.assertEqual(failed, {})
        self.assertEqual((found.program, found.row, found.mode), ("mmlat", "brk", "vma"))
        # 41 - 20 - (11 - 10), by three owners and two streams, for ten operations.
        self.assertEqual(found.accesses, 12)
        self.assertEqual(found.models[walks.MODELS[1]]["references"], 24)
        self.assertEqual((found.figure.instructions, found.figure.memory_exits), (100, 2))

    def test_what_a_mode_has(self):
        (one,), _ = self.walked(self.lines())
        self.assertEqual(one.used, ("one", "4 KiB", ""))
        (two,), _ = self.walked(self.lines(nested=True))
        self.assertEqual(two.used, ("two", "4 KiB", "2 MiB"))
        lines = self.lines()
        lines[-1]["events"]["small_pages"] = 20
        (large,), _ = self.walked(lines)
        self.assertEqual(large.used, ("one", "2 MiB", ""))

    def test_marks_that_do_not_pair(self):
        self.assertRaisesRegex(UserError, "3 marks, the machine 4", self.walked, self.lines()[1:])

    def test_a_plugin_with_other_models(self):
        lines = self.lines()
        for line in lines:
            line["models"].pop()
        self.assertRaisesRegex(UserError, "another version", self.walked, lines)

    def test_modelled_cycles(self):
        one = made_up()[6]
        self.assertEqual((one.mode, one.program), ("vma", "chase-64m"))
        self.assertEqual(one.modelled(1000, 10), 100 + 2 * 1000 + 100 * 10)
        self.assertEqual(one.modelled(1000, 10, ("two", "4 KiB", "4 KiB")), 100 + 2 * 1000 + 300 * 10)

    def test_where_modes_cross(self):
        found = made_up()
        # nested: 100 + 400 × reference; vma: 100 + 2 × exit + 100 × reference, so that exit = 150 × reference.
        (chase,) = [one for one in walks.crossings(found) if one.program == "chase-64m"]
        self.assertEqual((chase.modes, chase.exit_cost), (("vma", "nested"), 1500))
        for one in found:
            one.figure.memory_exits = 0
        self.assertEqual(walks.crossings(found), [])
        self.assertIn("none", walk_tables.terminal(found, {}))

    def test_a_crossing_may_be_where_references_are_dearer(self):
        found = made_up()
        for one in found:
            one.figure.memory_exits *= 5
        (chase,) = [one for one in walks.crossings(found) if one.program == "chase-64m"]
        self.assertEqual((chase.modes, chase.exit_cost), (("nested", "vma"), None))

    def test_the_mean_is_of_rows_that_all_modes_have(self):
        found = made_up()
        self.assertAlmostEqual(walks.mean_cycles(found, "mmlat", "native", 1000, 10), 1100)
        found[1].figure.instructions = 100 * 1100
        before = walks.mean_cycles(found, "mmlat", "native", 1000, 10)
        self.assertGreater(before, 1100)
        del found[4]  # nested: anon-touch
        self.assertAlmostEqual(walks.mean_cycles(found, "mmlat", "native", 1000, 10), 1100)
        self.assertIsNone(walks.mean_cycles(found, "mmlat", "xen", 1000, 10))


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.found = comparison.Comparison(list(MODES), report_test.PUBLISHED["rows"], "")
        self.found.walks = made_up()
        self.found.walk_titles = {"chase-64m": "the chase"}

    def test_the_table_marks_what_a_mode_has(self):
        lines = tables.terminal(self.found).splitlines()
        native, nested, vma = (next(line for line in lines if f"{mode:<8}" in line) for mode in MODES)
        self.assertIn(" 100* ", native)
        self.assertIn(" 400* ", nested)
        self.assertIn("the chase", native)
        self.assertTrue(vma.endswith("3,100"), vma)
        self.assertIn("nested 3.73, vma 2.82", "".join(lines))

    def test_csv_has_every_row_and_model(self):
        lines = list(csv.DictReader(io.StringIO(walk_tables.csv_text(self.found.walks))))
        self.assertEqual(len(lines), 9 * 6)
        self.assertEqual(sum(int(line["used"]) for line in lines), 9)

    def test_the_report_has_it_all(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        report.write(self.found, folder / "report")
        names = {path.name for path in (folder / "report").iterdir()}
        self.assertLessEqual({"walks.csv", "walks.png", "sensitivity.png"}, names)
        data = json.loads((folder / "report" / "results.json").read_text())
        self.assertEqual(len(data["walks"]), 9)
        self.assertEqual(data["walks"][3]["used"], "two 4 KiB 2 MiB")

    def test_without_walks_there_is_nothing_of_them(self):
        self.found.walks = []
        self.assertEqual(plots.all_plots(self.found), {})
        self.assertNotIn("walks", tables.terminal(self.found))

    def test_one_mode_crosses_nothing(self):
        self.found.walks = [one for one in made_up() if one.mode == "vma"]
        self.assertIsNone(walk_plots.sensitivity(self.found))

    def test_the_lines_are_where_the_modes_cross(self):
        ratios = []
        with mock.patch.object(walk_plots, "_lines", lambda axes, xs, ys, ratio: ratios.append((xs, ys, ratio))):
            walk_plots.sensitivity(self.found)
        xs, ys, ratio = ratios[0]
        self.assertEqual((xs[0], xs[-1], ys[0], ys[-1]), (500, 4000, 1, 30))
        # vma 100 + 2 × exit + 100 × reference, nested 100 + 400 × reference.
        self.assertAlmostEqual(ratio[0][0], (100 + 1000 + 100) / 500)
        self.assertAlmostEqual(ratio[-1][0], (100 + 1000 + 3000) / 12100)
        self.assertAlmostEqual(ratio[0][-1], (100 + 8000 + 100) / 500)


if __name__ == "__main__":
    unittest.main()
