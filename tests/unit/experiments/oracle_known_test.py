"""What the oracle's programs leave out: the table, papers/linux.md, and the programs."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "oracle"))

import generator  # noqa: E402
import known  # noqa: E402


class KnownTest(unittest.TestCase):
    def test_the_paper_says_what_the_table_says(self):
        self.assertEqual(known.wrong_in(known.PAPER.read_text()), [])

    def test_a_line_of_one_alone_is_found(self):
        row = known.ALL[0]
        self.assertEqual(len(known.wrong_in("", [row])), 1)
        self.assertEqual(len(known.wrong_in(row.line(), [])), 1)

    def test_names_are_unique(self):
        names = [row.name for row in known.ALL]
        self.assertEqual(len(names), len(set(names)))

    def test_a_row_is_of_versions(self):
        on_old, on_new = ({row.name for row in known.differing_on(version)} for version in ((6, 1), (6, 18)))
        self.assertIn("mremap-several", on_old - on_new)
        self.assertIn("mremap-fails", on_new - on_old)

    def test_versions_are_read(self):
        self.assertEqual(known.version_of("6.12.48-amd64"), (6, 12))

    def test_programs_leave_out_what_a_row_says(self):
        """What is left out by rows is in programs without them, and in none with them."""
        def address_0(left_out):
            return [each for seed in range(300) for each in generator.program(seed, left_out)
                    if each.name == "mmap" and each.numbers[0] < 0 and each.numbers[3] & generator.FIXED]

        self.assertTrue(address_0(()))
        self.assertEqual(address_0([row for row in known.ALL if row.name == "address-0"]), [])


if __name__ == "__main__":
    unittest.main()
