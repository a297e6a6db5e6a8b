import json
import unittest
import xml.etree.ElementTree

import support  # noqa: F401
from lib import boots, launcher, picture
from lib.errors import UserError

TOLD = {"event": "picture", "space": 7, "whole": 1,
        "regions": [[1024, 10, 5, 3, 0], [1034, 4, 3, 0, 0], [34359738319, 1024, 3, 9, 1]],
        # The second lies in two regions, the last in none.
        "runs": [[1024, 2, 1, 5, 1], [1032, 4, 1, 1, 2], [34359738319, 512, 2, 3, 1], [99, 3, 1, 1, 1]]}


def run(told=(TOLD,), marks=("a",), console=b""):
    events = [{"event": "mark", "text": mark} for mark in marks]
    return launcher.Run(0, console, events + list(told), 1.0)


class PictureTest(unittest.TestCase):
    def one(self, **change):
        return picture.all_of(run([TOLD | change]))[0]

    def test_runs_are_divided_among_regions(self):
        found = self.one()
        self.assertEqual([(one.page, one.pages) for region in found.regions for one in region.runs],
                         [(1024, 2), (1032, 2), (1034, 2), (34359738319, 512)])
        self.assertEqual([(one.page, one.pages) for one in found.stray], [(99, 3)])
        code, data, object_ = found.regions
        self.assertEqual((code.installed(), code.installed(lambda one: one.shared), code.what), (4, 2, "object 3, private"))
        self.assertEqual((data.installed(lambda one: one.writable), data.what), (0, "anonymous"))
        self.assertEqual((object_.installed(lambda one: one.large), object_.what), (512, "object 9, shared"))

    def test_a_run_over_a_gap(self):
        found = self.one(regions=[[10, 2, 1, 0, 0], [14, 2, 1, 0, 0]], runs=[[9, 8, 1, 1, 1]])
        self.assertEqual([(one.page, one.pages) for one in found.stray], [(9, 1), (12, 2), (16, 1)])
        self.assertEqual([region.installed() for region in found.regions], [2, 2])

    def test_on_the_console(self):
        console = b"nopte: mode native\r\nsaid nopte: picture " + json.dumps(TOLD).encode() + b"\r\nmore\r\n"
        self.assertEqual(picture.all_of(run((), console=console)), [self.one()])

    def test_what_is_not_whole(self):
        self.assertRaisesRegex(UserError, "took 2 marks and told 1", picture.all_of, run(marks=("a", "b")))
        self.assertRaisesRegex(UserError, "not whole", picture.all_of, run((), console=b"nopte: picture {\"event\":}\n"))
        for change in ({"regions": [[1, 2]]}, {"runs": [[1, 2, 3]]}, {"runs": 7}):
            self.assertRaisesRegex(UserError, "another version", picture.all_of, run([TOLD | change]))
        self.assertRaisesRegex(UserError, "another version", picture.all_of, run([{"event": "picture"}]))

    def test_the_mark_is_chosen(self):
        found = picture.all_of(run([TOLD, TOLD | {"space": 8}, TOLD | {"space": 9}], ("a", "b", "a")))
        self.assertEqual(picture.chosen(found, None).space, 9)
        self.assertEqual(picture.chosen(found, "b").space, 8)
        self.assertEqual(picture.chosen(found, "a").space, 9)
        self.assertRaisesRegex(UserError, "no mark 'c'\n  marks were a, b", picture.chosen, found, "c")
        self.assertRaisesRegex(UserError, "no mark was taken", picture.chosen, [], None)

    def test_in_words(self):
        text = picture.text(self.one())
        self.assertRegex(text, r"(?m)^ +400000 +40 KiB r-x  object 3, private +4 +0 +0 +2$")
        self.assertRegex(text, r"(?m)^ +7ffffffcf000 +4 MiB rw-  object 9, shared +512 +512 +512 +0$")
        self.assertIn("PROBLEM: installed and not promised: 3 pages at 63000", text)
        self.assertNotIn("bounded", text)
        self.assertIn("bounded", picture.text(self.one(whole=0)))

    def test_drawn(self):
        svg = "{http://www.w3.org/2000/svg}"
        root = xml.etree.ElementTree.fromstring(picture.svg(self.one(), "vma"))
        titles = [title.text for title in root.iter(svg + "title")]
        self.assertEqual(titles, ["400000: 2 pages, r-x, leaves of 4 KiB",
                                  "408000: 2 pages, r--, leaves of 4 KiB, in a table that 2 entries lead to",
                                  "40a000: 2 pages, r--, leaves of 4 KiB, in a table that 2 entries lead to",
                                  "7ffffffcf000: 512 pages, rw-, leaves of 2 MiB"])
        boxes = [group.find(svg + "rect") for group in root.iter(svg + "g")]
        regions = [box for box in root.findall(svg + "rect") if box.get("fill") == "#e5e7eb"][1:]  # behind the legend's
        first, second = boxes[:2]
        self.assertEqual(float(first.get("x")), float(regions[0].get("x")))
        self.assertAlmostEqual(float(first.get("width")), float(regions[0].get("width")) / 5, delta=0.1)
        self.assertGreater(float(second.get("x")), float(first.get("x")) + float(first.get("width")))
        self.assertIn("of nothing", "".join(root.itertext()))


class ConsoleTest(unittest.TestCase):
    DATA = b"nopte: mode vma\r\nnopte: picture {1}\r\nhello\nnopte: pict\nno end nopte: picture {2}\nnopte: pictu"

    def test_pictures_are_left_out(self):
        expected = b"nopte: mode vma\r\nhello\nnopte: pict\nno end nopte: picture {2}\nnopte: pictu"
        for step in (1, 2, 7, len(self.DATA)):
            with self.subTest(step):
                shown = bytearray()
                console = picture.ConsoleWithout(shown.extend)
                for at in range(0, len(self.DATA), step):
                    console(self.DATA[at:at + step])
                console.finish()
                self.assertEqual(bytes(shown), expected)


class CommandLineTest(unittest.TestCase):
    def test_the_guest_is_asked(self):
        line = boots.machine.guest_command_line
        self.assertEqual(line(["a"], pictures=True), "picture -- a")
        self.assertEqual(line(["a"], verbose=True, pictures=True), "verbose picture -- a")
        self.assertEqual(line(["a"]), "-- a")


if __name__ == "__main__":
    unittest.main()
