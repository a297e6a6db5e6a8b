import pathlib
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

import support
from lib import comparison, images

SOURCES = pathlib.Path("tests") / "support" / "sources"


class ArchiveTest(unittest.TestCase):
    """An unpacked archive: no .git, and no git."""

    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in (SOURCES, "hv-mm/a.cc", "hv-mm/deep/b.S", "pvops/c.h", "pvops/notes.txt", "guest-mm/d.cc",
                     "native-fallback/e.h", "experiments/run.py"):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n")
        shutil.copy(support.ROOT / SOURCES, self.root / SOURCES)

    def sources(self, *arguments):
        return subprocess.run([self.root / SOURCES, *arguments], capture_output=True, text=True, check=False,
                              env={"PATH": self.path()})

    def path(self):
        """The few programs that are in every Debian."""
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        for program in ("bash", "find", "sort", "dirname"):
            if not (folder / program).exists():
                (folder / program).symlink_to(shutil.which(program))
        return str(folder)

    def test_sources_are_found(self):
        done = self.sources(".cc", ".S", "--", "hv-mm", "guest-mm")
        self.assertEqual((done.returncode, done.stdout), (0, "guest-mm/d.cc\nhv-mm/a.cc\nhv-mm/deep/b.S\n"), done.stderr)

    def test_a_folder_that_is_not_there_or_holds_none_is_an_error(self):
        self.assertNotEqual(self.sources(".cc", "--", "hv-mm", "no-such").returncode, 0)
        self.assertNotEqual(self.sources(".cc", "--", "pvops").returncode, 0)

    def test_a_comparison_says_which_sources_it_was(self):
        with mock.patch.object(images, "ROOT", self.root):
            first = comparison.source()
            self.assertRegex(first, "^no commit; SHA-256 of the sources [0-9a-f]{16}$")
            self.assertEqual(comparison.source(), first)
            (self.root / "hv-mm/a.cc").write_text("changed\n")
            self.assertNotEqual(comparison.source(), first)


if __name__ == "__main__":
    unittest.main()
