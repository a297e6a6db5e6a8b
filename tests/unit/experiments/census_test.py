import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import support
from lib import census, census_tables
from lib.errors import UserError

EMBED = support.ROOT / "guest-mm" / "arch" / "x86_64" / "embed_call_sites.py"

# A kernel of one bound function and what calls it.
SOURCE = """
    .text
    .globl caller, _ZN5nopte7MmCalls7performEv, _ZN5nopte13PlatformCalls4waitEv
    .type caller, @function
caller:
{body}
    .size caller, . - caller
    .section .text.bound, "ax"
_ZN5nopte7MmCalls7performEv: ret
_ZN5nopte13PlatformCalls4waitEv: ret
    .section .call_sites, "a"
    .skip 8 + 12 * {room}
"""


class EmbedTest(unittest.TestCase):
    def embed(self, body, room=8):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "x.S").write_text(SOURCE.format(body=body, room=room))
        image = folder / "image"
        subprocess.run(["gcc", "-c", folder / "x.S", "-o", folder / "x.o"], check=True)
        subprocess.run(["ld", "--emit-relocs", "-Ttext=0xffffffff80100000", "-e", "caller", folder / "x.o", "-o", image],
                       check=True, stderr=subprocess.DEVNULL)
        done = subprocess.run([sys.executable, EMBED, image], capture_output=True, text=True, check=False)
        return image, done

    def test_direct_calls_and_jumps_are_recorded(self):
        image, done = self.embed("    call _ZN5nopte7MmCalls7performEv\n    jne _ZN5nopte7MmCalls7performEv\n"
                                 "    call _ZN5nopte13PlatformCalls4waitEv\n    jmp _ZN5nopte7MmCalls7performEv")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = census.call_sites(census.Image(image))
        self.assertEqual((found.memory, found.platform, found.direct), (3, 1, 4))

    def test_any_other_use_is_refused(self):
        for use in ("    mov $_ZN5nopte7MmCalls7performEv, %rax\n    call *%rax", "    call *pointer(%rip)\n    ret\n"
                    "pointer: .quad _ZN5nopte7MmCalls7performEv", "    lea _ZN5nopte7MmCalls7performEv(%rip), %rax"):
            _, done = self.embed(use)
            self.assertEqual(done.returncode, 1, use)
            self.assertIn("caller: refers to _ZN5nopte7MmCalls7performEv", done.stderr)

    def test_a_pointer_in_data_is_refused(self):
        _, done = self.embed("    call _ZN5nopte7MmCalls7performEv\n    .data\n    .type kept, @object\n"
                             "kept: .quad _ZN5nopte7MmCalls7performEv\n    .size kept, 8\n    .text")
        self.assertEqual(done.returncode, 1)
        self.assertIn("kept: refers to _ZN5nopte7MmCalls7performEv by R_X86_64_64", done.stderr)

    def test_a_table_that_is_too_small_is_refused(self):
        _, done = self.embed("    call _ZN5nopte7MmCalls7performEv\n" * 3, room=2)
        self.assertIn("raise kMostSites", done.stderr)

    def test_a_site_that_leads_elsewhere_is_not_direct(self):
        image, _ = self.embed("    call _ZN5nopte7MmCalls7performEv")
        data = bytearray(image.read_bytes())
        self.assertEqual(census.call_sites(census.Image(image)).direct, 1)
        data[data.index(b"\xe8") + 1] ^= 1
        image.write_bytes(data)
        self.assertEqual(census.call_sites(census.Image(image)).direct, 0)


class FiguresTest(unittest.TestCase):
    def test_a_row_may_cost_half_a_percent_more_or_three_less(self):
        for compiler, most, beyond in ((12, 100.5, 100.6), (14, 101, 101.1)):
            self.assertEqual(census.beyond("x", most, 100, compiler), [])
            self.assertEqual(census.beyond("x", 97, 100, compiler), [])
            self.assertIn(f"more than {most - 100:.1f}% more", census.beyond("x", beyond, 100, compiler)[0])
            self.assertIn("more than 3% less", census.beyond("x", 96.9, 100, compiler)[0])

    def test_some_rows_may_a_little_more(self):
        self.assertEqual(census.beyond("fork-64m", 101.5, 100, 12) + census.beyond("dontneed", 94, 100, 12), [])
        self.assertIn("more than 1.5% more", census.beyond("fork-64m", 101.6, 100, 12)[0])
        self.assertIn("more than 3% less", census.beyond("fork-64m", 96.9, 100, 12)[0])
        self.assertIn("more than 6% less", census.beyond("dontneed", 93.9, 100, 12)[0])

    def test_what_one_compiler_needs_another_does_not_get(self):
        self.assertEqual(census.beyond("cow-child", 103, 100, 14) + census.beyond("protect-page", 91, 100, 14), [])
        self.assertIn("more than 2.0% more", census.beyond("fork-small", 102.1, 100, 14)[0])
        self.assertIn("more than 0.5% more", census.beyond("cow-child", 101.1, 100, 12)[0])
        self.assertIn("more than 6% less", census.beyond("protect-page", 93.9, 100, 12)[0])

    def test_the_text_may_not_grow_again(self):
        def grown(more):
            return census.Census({}, census.CallSites(), [{"part": "all", "with": 10_000 + more, "without": 10_000}])
        at_bar = round(10_000 * census.MOST_GROWTH) - 1
        self.assertEqual(census.overgrown(grown(at_bar), 12) + census.overgrown(grown(at_bar + 100), 14), [])
        self.assertIn("larger, which may be", census.overgrown(grown(at_bar + 2), 12)[0])

    def test_the_build_says_which_compiler_it_was(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        with mock.patch.object(census.images, "BUILD", folder):
            self.assertRaises(UserError, census.gcc_version)
            (folder / "CMakeFiles" / "3.31.6").mkdir(parents=True)
            (folder / "CMakeFiles" / "3.31.6" / "CMakeCXXCompiler.cmake").write_text(
                'set(CMAKE_CXX_COMPILER_ID "GNU")\nset(CMAKE_CXX_COMPILER_VERSION "14.2.0")\n')
            self.assertEqual(census.gcc_version(), 14)

    def test_what_the_engine_is_made_of(self):
        engine = "CMakeFiles/image_translation_interfaces.dir/x.o"
        either = "10EitherSinkINS0_12_GLOBAL__N_19ProcessorEEE"
        pieces = [(f".text._ZN5nopte2pt6EngineINS0_{either}E5faultEv", engine, 100),
                  (f".text._ZN5nopte2pt6EngineINS0_{either}E7resolveINS0_12TableOpsSinkIXXEEEEvv", engine, 120),
                  (f".text._ZN5nopte2pt6EngineINS0_{either}E7resolveINS0_9StoreSinkIXXEEEEvv", engine, 110),
                  (".text.unlikely._ZN5nopte2pt6CursorINS0_12TableOpsSinkEE3ownEj", engine, 30),
                  (".text._ZN5nopte2pt10EitherSinkIXXE13exchange_toldEv", engine, 9),
                  (".text._ZThn64_N5nopte2pt9XenTablesIXXEE4editEv", engine, 7),
                  (".text._ZN5nopte2pt12_GLOBAL__N_19Interface4bootEv", engine, 5),
                  (".text._ZN5nopte2pt6EngineE5faultEv", "CMakeFiles/image_guest.dir/x.o", 1000)]
        found = {row["part"]: (row["interfaces"], row["both"]) for row in census.engines(pieces)}
        self.assertEqual([size for size in found.values() if size != (0, 0)],
                         [(120, 210), (30, 0), (9, 0), (7, 0), (5, 0)])

    def test_sums(self):
        text = [{"part": "guest kernel", "with": 100, "without": 100},
                {"part": "choice and patching", "with": 5, "without": 1},
                {"part": census.BACKENDS[0], "with": 50, "without": 0}]
        found = census.Census({"memory": 2, "platform": 1}, census.CallSites(3, 4, 7), text)
        rows = {row["part"]: row for row in census_tables.text_rows(found)}
        self.assertEqual(rows["all"], {"part": "all", "with": 155, "without": 101})
        self.assertEqual(census.growth(rows["all, without the backends"]), "+4.0%")
        self.assertIn("1,463", census_tables.terminal(found))

    def test_operations_are_counted_in_their_lists(self):
        self.assertEqual(census.operations(), {"memory": 19, "platform": 10})


if __name__ == "__main__":
    unittest.main()
