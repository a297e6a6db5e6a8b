"""The oracle's delta debugging and its text form."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "oracle"))

import generator  # noqa: E402
import shrink  # noqa: E402


class ShrinkTest(unittest.TestCase):
    def test_what_matters_is_left(self):
        needed = {3, 17, 18, 39}

        def which(programs):
            return [index for index, program in enumerate(programs) if needed <= set(program)]

        self.assertEqual(shrink.shrink(list(range(40)), which), sorted(needed))

    def test_what_never_differs_stays(self):
        self.assertEqual(shrink.shrink([1, 2, 3], lambda programs: []), [1, 2, 3])


class TextTest(unittest.TestCase):
    def test_programs_come_back(self):
        programs = {str(seed): generator.program(seed) for seed in range(50)}
        self.assertEqual(generator.parse(generator.text(programs)), programs)

    def test_a_seed_is_a_program(self):
        self.assertEqual(generator.program(7), generator.program(7))
        self.assertNotEqual(generator.program(7), generator.program(8))


if __name__ == "__main__":
    unittest.main()
