import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import support

GATE = support.ROOT / "tests" / "gates" / "pvh_note.py"


def note(name, kind, description=bytes(8)):
    encoded = name.encode() + b"\0"
    return struct.pack("<III", len(encoded), len(description), kind) + encoded.ljust((len(encoded) + 3) // 4 * 4, b"\0") \
        + description


def image(notes, alignment=4):
    """An ELF file with one loadable segment and one of notes."""
    data = b"".join(notes)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    at = len(header) + 2 * 56
    segments = struct.pack("<IIQQQQQQ", 1, 5, at, 0, 0, len(data), len(data), 4096)
    segments += struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(data), len(data), alignment)
    return header + segments + data


PVH, OURS, COMPILERS = note("Xen", 18), note("nopte", 1, bytes(16)), note("GNU", 5, bytes(16))


class PvhNoteTest(unittest.TestCase):
    def check(self, data):
        """What the gate says of an image, and whether it leaves it there."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "image"
            path.write_bytes(data)
            done = subprocess.run([sys.executable, GATE, path], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode == 0, path.exists())
            self.assertEqual(done.returncode == 0, done.stderr == "")
        return done.stderr

    def test_as_it_should_be(self):
        self.assertEqual(self.check(image([PVH, OURS])), "")

    def test_alignment_of_eight(self):
        self.assertIn("alignment 8", self.check(image([PVH], alignment=8)))

    def test_a_note_of_the_compilers(self):
        self.assertIn("GNU 5: discard it", self.check(image([PVH, COMPILERS])))

    def test_no_pvh_note_or_two(self):
        self.assertIn("0 PVH entry notes", self.check(image([OURS])))
        self.assertIn("2 PVH entry notes", self.check(image([PVH, PVH])))


if __name__ == "__main__":
    unittest.main()
