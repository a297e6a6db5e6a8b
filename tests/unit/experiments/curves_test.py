"""What operations cost among many: the bar, and the tables."""

import unittest

import support  # noqa: F401

from lib import curves, results  # noqa: E402


def figures(name, costs, exits=0):
    return {f"{name}-{count}": results.Figure(f"{name}-{count}", "native", 1, cost, 0, exits, 0, 0, {}) for count, cost in costs.items()}


class CurvesTest(unittest.TestCase):
    def missed(self, costs, exits=0):
        return curves.misses({"native": figures("processes-fork", costs, exits)})

    def test_a_logarithm_meets_the_bar(self):
        self.assertEqual(self.missed({1: 10, 10: 100, 100: 125, 1000: 150}), [])

    def test_what_grows_with_the_number_does_not(self):
        found = self.missed({10: 100, 100: 110, 1000: 200})
        self.assertEqual({miss.row for miss in found}, {"processes-fork-1000"})
        self.assertEqual(found[0].what, "200 instructions, at most 150")

    def test_exits_are_held_too(self):
        more = figures("processes-fork", {10: 100}) | figures("processes-fork", {100: 100}, exits=1)
        self.assertEqual([miss.row for miss in curves.misses({"native": more})], ["processes-fork-100"])

    def test_without_ten_there_is_no_bar(self):
        self.assertEqual(self.missed({1: 10, 1000: 10000}), [])

    def test_counts_are_sorted_as_numbers(self):
        points = curves.of(figures("mappings-map-unmap", {10000: 3, 2: 1, 10: 2}))["mappings-map-unmap"]
        self.assertEqual([count for count, _ in points], [2, 10, 10000])

    def test_tables(self):
        by_mode = {"native": figures("threads-hop", {1: 5, 10: 1234})}
        self.assertIn("threads-hop", curves.terminal(by_mode)[2])
        self.assertIn("10: 1,234", curves.terminal(by_mode)[2])
        self.assertEqual(curves.csv_text(by_mode).splitlines()[2].split(",")[0:4], ["threads-hop", "a hop around all of them", "10", "native"])


if __name__ == "__main__":
    unittest.main()
