import pathlib
import shutil
import subprocess
import tempfile
import unittest

import support  # noqa: F401
from lib import cpio
from lib.errors import UserError


def sample():
    archive = cpio.Archive()
    archive.folder("tmp", 0o1777)
    archive.file("/deep/er/file", b"contents", 0o755)
    archive.file("empty", b"")
    archive.symlink("bin/sh", "busybox")
    archive.device("dev/null", 1, 3)
    return archive


class CpioTest(unittest.TestCase):
    def test_the_layout_of_an_entry(self):
        archive = cpio.Archive()
        archive.file("ab", b"xyz", 0o640)
        data = archive.bytes()
        self.assertEqual(data[:6], b"070701")
        self.assertEqual(data[14:22], b"%08X" % 0o100640)
        self.assertEqual(data[54:62], b"00000003")
        self.assertEqual(data[94:102], b"00000003")
        self.assertEqual(data[110:113], b"ab\0")
        # Header and name end at a multiple of 4, so do the contents.
        self.assertEqual(data[116:120], b"xyz\0")
        self.assertEqual(data[120:126], b"070701")

    def test_contents_of_more_than_a_page_begin_at_one(self):
        archive = sample()
        for size in (4096, 4097, 20000):
            archive.file(f"sizes/{size}", (b"%d|" % size * size)[:size])
        data = archive.bytes()
        self.assertNotEqual(data.index(b"4096|") % 4096, 0)
        self.assertEqual((data.index(b"4097|") % 4096, data.index(b"20000|") % 4096), (0, 0))

    def test_no_name_gets_too_long_for_it(self):
        for length in range(3500, 4090, 7):
            archive = cpio.Archive()
            archive.file("n" * length, bytes(5000))
            self.assertLessEqual(int(archive.bytes()[94:102], 16), 4096)

    def test_folders_come_before_what_they_hold(self):
        data = sample().bytes()
        self.assertLess(data.index(b"deep\0"), data.index(b"deep/er\0"))
        self.assertLess(data.index(b"deep/er\0"), data.index(b"deep/er/file\0"))

    def test_the_same_input_gives_the_same_bytes(self):
        self.assertEqual(sample().bytes(), sample().bytes())

    def test_a_file_may_be_replaced_and_no_name_is_twice(self):
        archive = sample()
        archive.file("empty", b"no longer")
        self.assertEqual(archive.bytes().count(b"empty\0"), 1)

    def test_what_cannot_be_is_refused(self):
        archive = sample()
        for wrong in (lambda: archive.file("../up", b""), lambda: archive.file("deep", b""),
                      lambda: archive.folder("empty"), lambda: archive.file("/", b"")):
            self.assertRaises(UserError, wrong)

    @unittest.skipUnless(shutil.which("cpio"), "cpio is not installed")
    def test_cpio_unpacks_it(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cpio", "-idm", "--quiet", "--no-preserve-owner"], input=sample_without_device(),
                           cwd=folder, check=True)
            root = pathlib.Path(folder)
            self.assertEqual((root / "deep/er/file").read_bytes(), b"contents")
            self.assertEqual((root / "large").read_bytes(), b"large" * 10000)
            self.assertEqual((root / "deep/er/file").stat().st_mode & 0o777, 0o755)
            self.assertEqual((root / "bin/sh").readlink(), pathlib.Path("busybox"))
            self.assertEqual((root / "tmp").stat().st_mode & 0o7777, 0o1777)


def sample_without_device():
    archive = cpio.Archive()
    archive.folder("tmp", 0o1777)
    archive.file("deep/er/file", b"contents", 0o755)
    archive.file("large", b"large" * 10000)
    archive.symlink("bin/sh", "busybox")
    return archive.bytes()


if __name__ == "__main__":
    unittest.main()
