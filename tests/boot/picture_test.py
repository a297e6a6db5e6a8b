"""Pictures of an address space: every mode tells of one program what it did, and the same where the design says so."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
EXPERIMENTS = HERE.parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import machine  # noqa: E402
from lib import boots, launcher, picture  # noqa: E402

SECONDS = 120
GUEST_MIB = 256
PAGES_OF_2M = 512
SOURCE = """
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstring>
namespace {
constexpr size_t kMiB = 1 << 20;
char* map(size_t bytes) {
  return static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
}  // namespace
int main() {
  const int marks = open("/dev/nopte-mark", O_WRONLY);
  char* plain = map(8 * kMiB);
  madvise(plain, 8 * kMiB, MADV_RANDOM);
  for (size_t i = 0; i < 8 * kMiB; i += 8192) plain[i] = 1;  // every second page
  char* large = map(4 * kMiB);
  madvise(large, 4 * kMiB, MADV_HUGEPAGE);
  memset(large, 1, 2 * kMiB);
  if (write(marks, "parent", 6) != 6) return 1;
  if (fork() == 0) {
    plain[3 * kMiB] = 2;
    _exit(write(marks, "child", 5) == 5 ? 0 : 1);
  }
  int status = 0;
  wait(&status);
  return status == 0 ? 0 : 1;
}
"""


def writable(run):
    return run.writable


def large(run):
    return run.large


def shared(run):
    return run.shared


class PictureTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (cls.folder / "program.cc").write_text(SOURCE)
        cls.program = cls.folder / "program"
        subprocess.run(["g++", "-O1", "-static", "-s", "-o", cls.program, cls.folder / "program.cc"], check=True)
        cls.pictures = {mode: cls.boot(mode) for mode in machine.MODES}

    @classmethod
    def boot(cls, mode):
        with tempfile.TemporaryDirectory() as folder:
            boot = boots.make(pathlib.Path(folder), mode, ["/program"], extra=[(cls.program, "/program")], guest_mib=GUEST_MIB,
                              pictures=True)
            done = launcher.run(machine.command(boot), boot.counters, SECONDS)
        assert done.status == 0, done.console
        return {one.mark: one for one in picture.all_of(done)}

    def regions(self, mode, mark):
        """The region with small pages, and that with large ones: by size."""
        by_pages = {region.pages: region for region in self.pictures[mode][mark].regions if region.object == 0}
        return by_pages[4 * PAGES_OF_2M], by_pages[2 * PAGES_OF_2M]

    def test_what_is_installed_is_promised(self):
        for mode, pictures in self.pictures.items():
            for mark, one in pictures.items():
                with self.subTest(f"{mode}, {mark}"):
                    self.assertEqual((one.stray, one.whole), ([], True))
                    for region in one.regions:
                        for run in region.runs:
                            self.assertEqual(run.rights & ~region.rights, 0)

    def test_pages_and_rights(self):
        for mode in machine.MODES:
            with self.subTest(mode):
                plain, _ = self.regions(mode, "parent")
                self.assertEqual((plain.installed(), plain.installed(writable), plain.installed(shared)), (1024, 1024, 0))
                self.assertEqual([run.page - plain.page for run in plain.runs], list(range(0, 2048, 2)))
                plain, _ = self.regions(mode, "child")
                self.assertEqual((plain.installed(), plain.installed(writable)), (1024, 1))
                self.assertEqual([run.page - plain.page for run in plain.runs if run.writable], [768])

    def test_leaves_of_2_mib(self):
        for mode in machine.MODES:
            with self.subTest(mode):
                _, found = self.regions(mode, "parent")
                self.assertEqual(found.installed(), PAGES_OF_2M)
                # Not where the guest tells an interface that has none (papers/).
                has = mode in ("native", "nested", "shadow", "vma")
                self.assertEqual([(run.page - found.page, run.pages) for run in found.runs if run.large],
                                 [(0, PAGES_OF_2M)] if has else [])

    def test_tables_that_a_fork_shares(self):
        for mode in machine.MODES:
            with self.subTest(mode):
                plain, _ = self.regions(mode, "child")
                # One of four leaf tables was written to. lguest names entries by root and address: it shares none.
                self.assertEqual(plain.installed(shared), 0 if mode == "lguest" else 768)
                self.assertEqual({run.parents for run in plain.runs}, {1} if mode == "lguest" else {1, 2})

    def test_the_hypervisor_tells_what_the_guest_would(self):
        # Which code of the C library runs is another matter: it asks the processor.
        def promised(mode, mark):
            return [(region.page, region.pages, region.rights, region.what) for region in self.pictures[mode][mark].regions]

        for mode in ("nested", "shadow", "vma"):
            for mark in ("parent", "child"):
                with self.subTest(f"{mode}, {mark}"):
                    self.assertEqual(promised(mode, mark), promised("native", mark))
                    self.assertEqual(self.regions(mode, mark), self.regions("native", mark))


class BoundTest(unittest.TestCase):
    """A guest decides how much there is to look at: an object of 128 MiB, mapped 40 times, is more than a picture's share."""

    SOURCE = """
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main() {
  const int marks = open("/dev/nopte-mark", O_WRONLY);
  const int file = open("/file", O_RDWR | O_CREAT, 0600);
  const size_t bytes = 128u << 20;
  if (file < 0 || ftruncate(file, bytes) != 0) return 1;
  for (int i = 0; i < 40; ++i) {
    char* begin = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    if (begin == MAP_FAILED) return 2;
    for (size_t at = 0; at < bytes; at += 4096) begin[at] = 1;
  }
  return write(marks, "now", 3) == 3 ? 0 : 3;
}
"""

    def test_work_is_bounded(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "program.cc").write_text(self.SOURCE)
        subprocess.run(["g++", "-O1", "-static", "-s", "-o", folder / "program", folder / "program.cc"], check=True)
        for mode in ("native", "vma"):
            with self.subTest(mode), tempfile.TemporaryDirectory() as name:
                boot = boots.make(pathlib.Path(name), mode, ["/program"], extra=[(folder / "program", "/program")],
                                  guest_mib=2 * GUEST_MIB, pictures=True)
                done = launcher.run(machine.command(boot), boot.counters, SECONDS)
                self.assertEqual(done.status, 0, done.console)
                found = picture.all_of(done)[0]
                pages = sum(region.installed() for region in found.regions)
                self.assertEqual((found.whole, found.stray), (False, []))
                self.assertLess(pages, 1 << 20)
                self.assertGreater(pages, 1 << 19)


class WordsTest(unittest.TestCase):
    def test_words_in_any_order(self):
        with tempfile.TemporaryDirectory() as name:
            boot = boots.make(pathlib.Path(name), "nested", ["true"], guest_mib=GUEST_MIB, verbose=True, pictures=True)
            line = boot.command_line
            said = []
            for words in ("verbose picture", "picture verbose", "picture"):
                boot.command_line = line.replace("verbose picture", words)
                console = launcher.run(machine.command(boot), boot.counters, SECONDS).console
                said.append(console.count(b"nopte: mode native"))
        self.assertEqual(said, [1, 1, 0])


class CommandTest(unittest.TestCase):
    def run_command(self, *arguments):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        done = subprocess.run([EXPERIMENTS / "boot", "--memory", f"{GUEST_MIB}M", "--picture", folder / "a.svg", *arguments],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return done, folder

    def test_files(self):
        for mode in ("native", "vma"):
            with self.subTest(mode):
                done, folder = self.run_command("--mode", mode, "--", "sh", "-c", "echo one >/dev/nopte-mark; echo said; exit 3")
                self.assertEqual((done.returncode, done.stdout), (3, "said\n"), done.stderr)
                self.assertIn("at the mark 'one'", (folder / "a.txt").read_text())
                self.assertIn("</svg>", (folder / "a.svg").read_text())
                self.assertNotIn('"event"', done.stderr)

    def test_bad_use(self):
        done, _ = self.run_command("--mode", "native", "--", "true")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no mark was taken", done.stderr)
        done, _ = self.run_command("--mode", "native", "--picture-at", "two", "--", "sh", "-c", "echo one >/dev/nopte-mark")
        self.assertIn("no mark 'two'\n  marks were one", done.stderr)
        done, folder = self.run_command("--picture", "/nonexistent/folder/a.svg", "--", "true")
        self.assertIn("error: --picture /nonexistent/folder/a.svg: No such file", done.stderr)
        for arguments, words in ((("--picture", "a.png"), "not an SVG file's name"), (("--picture-at", "x"), "nothing is drawn")):
            done = subprocess.run([EXPERIMENTS / "boot", *arguments, "--", "true"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
