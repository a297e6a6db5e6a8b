import csv
import io
import json
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import support
from lib import call_tree, flame, perf, profile_formats, profile_symbols, profiler
from lib.errors import UserError

Function = profile_symbols.Function
MAIN, READ, ENTRY, MAP, EXIT, RUN = (Function(*one) for one in (
    ("prog", "main"), ("prog", "read<int>(char)"), ("nopte-guest", "syscall_entry"), ("nopte-guest", "nopte::guest::map(int)"),
    ("exits", "[exit 0x81: VMMCALL]"), ("nopte-hv", "svm_run")))
FUNCTIONS = {4: MAIN, 5: READ, 6: ENTRY, 7: MAP, 8: EXIT, 9: RUN}
# main → read → syscall_entry → map → exit → svm_run, and main → map → main: recursion over two functions.
NODES = ["node 1 0 4", "node 2 1 5", "node 3 2 6", "node 4 3 7", "node 5 4 8", "node 6 5 9", "node 7 1 7", "node 8 7 4"]
COUNTS = ["count 1 100 1", "count 2 20 2", "count 3 30 2", "count 4 4 2", "count 5 0 3", "count 6 50 3", "count 7 6 1",
          "count 8 10 1"]
TOTAL = 220


def made_up(ops=1, clock=None):
    recording = call_tree.read([*NODES, *COUNTS, "cut end"])
    tree = call_tree.tree(recording, recording.cuts, FUNCTIONS.get)
    return profiler.Profile("row", "a < row", "vma", ops, tree, clock)


class TreeTest(unittest.TestCase):
    def test_totals(self):
        found = {one.function: one for one in call_tree.by_function(made_up().tree)}
        self.assertEqual((found[MAIN].own, found[MAIN].total, found[MAIN].calls), (110, TOTAL, 2))
        self.assertEqual((found[MAP].own, found[MAP].total, found[MAP].calls), (10, 70, 3))
        self.assertEqual((found[RUN].own, found[RUN].total), (50, 50))
        self.assertEqual(sum(one.own for one in found.values()), TOTAL)

    def test_edges(self):
        edges = call_tree.edges(made_up().tree)
        self.assertEqual((edges[MAIN][READ].calls, edges[MAIN][READ].total), (2, 104))
        self.assertEqual((edges[MAP][MAIN].calls, edges[MAP][MAIN].total), (1, 10))
        self.assertEqual(edges[MAP][EXIT].total, 50)

    def test_cuts_are_apart(self):
        recording = call_tree.read([*NODES[:2], "count 1 5 1", "cut mark", "count 1 7 0", "count 2 1 1", "cut ticks", "cut end"])
        self.assertEqual([cut.kind for cut in recording.cuts], ["mark", "ticks", "end"])
        self.assertEqual(call_tree.tree(recording, recording.cuts[1:2], FUNCTIONS.get).total, 8)
        self.assertEqual(call_tree.tree(recording, recording.cuts, FUNCTIONS.get).total, 13)

    def test_bad_lines(self):
        for lines in (["node 1"], ["cut other"], ["", "cut end"], ["what 1 2"], ["count 1 x 2"]):
            self.assertRaisesRegex(UserError, "none of its lines", call_tree.read, lines)
        for lines in ([], ["cut mark"]):
            self.assertRaisesRegex(UserError, "last line", call_tree.read, lines)

    def test_deep_chains(self):
        depth = 5000
        lines = [f"node {i + 1} {i} {4 + i % 2}" for i in range(depth)] + [f"count {depth} 3 1", "cut end"]
        recording = call_tree.read(lines)
        tree = call_tree.tree(recording, recording.cuts, FUNCTIONS.get)
        self.assertEqual({one.function: one.total for one in call_tree.by_function(tree)}, {MAIN: 3, READ: 3})


class RowsTest(unittest.TestCase):
    CONSOLE = b"row empty ops 1 instructions 2\r\nrow brk ops 10 instructions 98\r\nrow bad failed: it did\r\n"
    TEXTS = ("begin warm-up", "end warm-up", "begin empty", "end empty", "begin brk", "end brk")

    def recorded(self, cuts, texts=TEXTS):
        lines = [*NODES[:1]]
        for kind, count in cuts:
            lines += [f"count 1 {count} 0", f"cut {kind}"]
        run = profiler.launcher.Run(0, self.CONSOLE, [{"event": "mark", "text": text} for text in texts], 1.0)

        class Table:
            function = staticmethod(FUNCTIONS.get)
        return profiler.Recorded(run, call_tree.read([*lines, "cut end"]), Table)

    CUTS = [("mark", 1)] * 4 + [("ticks", 7), ("mark", 8), ("ticks", 9), ("ticks", 40), ("ticks", 60), ("mark", 11)]

    def test_a_row_is_from_tick_to_tick(self):
        (found,), failed = profiler.rows(self.recorded(self.CUTS), "vma", ["brk"], {"brk": "a title"})
        self.assertEqual((found.name, found.title, found.ops, found.instructions, found.clock), ("brk", "a title", 10, 100, 100))
        self.assertEqual(failed, {})

    def test_rows_that_failed(self):
        found, failed = profiler.rows(self.recorded(self.CUTS), "vma", ["bad", "getpid"], {})
        self.assertEqual((found, failed), ([], {"bad": "it did", "getpid": "it was not measured"}))

    def test_marks_that_do_not_pair(self):
        with self.assertRaisesRegex(UserError, "5 marks, the machine 6"):
            profiler.rows(self.recorded(self.CUTS[1:]), "vma", ["brk"], {})

    def test_a_program_is_without_the_kernels_start(self):
        recorded = self.recorded([("program", 1000), ("ticks", 5), ("mark", 6)])
        self.assertEqual(profiler.whole(recorded, "vma", "t").instructions, 11)
        self.assertEqual(profiler.whole(recorded, "vma", "t", boot=True).instructions, 1011)
        with self.assertRaisesRegex(UserError, "no program was begun"):
            profiler.whole(self.recorded([("mark", 6)]), "vma", "t")


class FormatsTest(unittest.TestCase):
    def test_names_are_short(self):
        for name, expected in (
                ("nopte::pt::Engine<nopte::pt::StoreSink<int> >::fault(nopte::pt::Leaf const&) const", "pt::Engine::fault"),
                ("nopte::guest::(anonymous namespace)::clone_process(unsigned long)", "guest::clone_process"),
                ("unsigned int nopte::pt::Engine<int>::each<true>(int)", "pt::Engine::each"),
                ("nopte::Key::operator<(nopte::Key) const", "Key::operator<"), ("syscall_entry", "syscall_entry"),
                ("nopte::Each<int>::operator()(int)", "Each::operator()"), ("[exit 0x4e: page fault]", "[exit 0x4e: page fault]")):
            self.assertEqual(profile_formats.short(name), expected)

    def test_the_table(self):
        text = profile_formats.terminal(made_up(ops=10, clock=TOTAL), top=3)
        self.assertIn("mode vma: 22.0 instructions per operation, of 10", text)
        self.assertIn("program 13.0 (59.1%), hypervisor 5.0 (22.7%), guest kernel 4.0 (18.2%)", text)
        self.assertIn("the same", text)
        self.assertRegex(text, r"11\.0\s+50\.0%\s+22\.0\s+0\.20  main \(prog\)")
        self.assertRegex(text, r"3\.0\s+13\.6%\s+3 more functions")
        self.assertIn("-1", profile_formats.terminal(made_up(clock=TOTAL + 1), 3))

    def test_folded(self):
        lines = profile_formats.folded(made_up()).splitlines()
        self.assertIn("main;read;syscall_entry;guest::map;[exit 0x81: VMMCALL];svm_run 50", lines)
        self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in lines), TOTAL)

    def test_json_and_csv(self):
        found = json.loads(profile_formats.json_text(made_up(), {"command": "c"}))
        self.assertEqual((found["instructions"], found["command"], found["images"]["nopte-hv"]), (TOTAL, "c", 50))
        rows = list(csv.DictReader(io.StringIO(profile_formats.csv_text(made_up()))))
        self.assertEqual(rows[0], {"image": "prog", "function": "main", "instructions": "110", "with_callees": "220", "calls": "2"})

    def annotate(self, *options):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.callgrind"
            path.write_text(profile_formats.callgrind(made_up(), "prog --option"))
            done = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", *options, path], capture_output=True,
                                  text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_callgrinds_own_tool_reads_it(self):
        own = self.annotate()
        self.assertRegex(own, r"220 \(100\.0%\)  PROGRAM TOTALS")
        self.assertRegex(own, r"(?m)^110 \(50\.00%\)  prog:main \[prog\]")
        self.assertRegex(own, r"(?m)^ *50 \(22\.73%\)  nopte-hv:svm_run \[nopte-hv\]")
        self.assertRegex(self.annotate("--inclusive=yes"), r"(?m)^ *84 \(38\.18%\)  nopte-guest:syscall_entry \[nopte-guest\]")
        self.assertRegex(self.annotate("--tree=calling"), r"(?m)^ *104 \(47\.27%\) +> +prog:read<int>\(char\) \(2x\) \[prog\]")

    def test_the_picture(self):
        svg = "{http://www.w3.org/2000/svg}"
        root = xml.etree.ElementTree.fromstring(flame.svg(made_up(ops=10)))
        frames = {}
        for group in root.iter(svg + "g"):
            box = group.find(svg + "rect")
            frames.setdefault(group.find(svg + "title").text.split(" (")[0], []).append(
                (float(box.get("x")), float(box.get("y")), float(box.get("width"))))
        self.assertEqual(len(frames), 6)
        self.assertIn("22.0 instructions (100.00%), of its own 10.0", "".join(root.itertext()))
        (x, y, width), inner = sorted(frames["main"], key=lambda one: -one[2])
        self.assertAlmostEqual(width, 1180, delta=1)
        (read_x, read_y, read_width), = frames["read<int>(char)"]
        self.assertAlmostEqual(read_width, 1180 * 104 / TOTAL, delta=1)
        self.assertEqual(read_x, x)
        self.assertLess(read_y, y)  # callees are above
        self.assertLess(inner[1], read_y)
        self.assertGreater(inner[0], read_x + read_width)


class SymbolsTest(unittest.TestCase):
    SOURCE = """
        .globl _start, sized
        .text
        .type sized, @function
sized:  nop
inside: nop
        ret
        .size sized, . - sized
_start: nop
        .type alias, @function
        .globl alias
alias:  call sized
        ud2
        .type last, @function
last:   ret
        .size last, . - last
"""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        source = cls.folder / "program.S"
        source.write_text(cls.SOURCE)
        for name, options in (("program", ["-static"]), ("stripped", ["-static", "-s"]), ("pie", ["-static-pie"])):
            subprocess.run(["g++", "-nostdlib", *options, "-o", cls.folder / name, source], check=True)

    def test_functions_do_not_overlap(self):
        found = profile_symbols.symbols(self.folder / "program")
        self.assertEqual([(one.name, one.end - one.begin) for one in found if one.name != "alias"],
                         [("sized", 3), ("_start", 1), ("last", 1)])
        for one, next_ in zip(found, found[1:]):
            self.assertLessEqual(one.end, next_.begin)

    def lines(self, name):
        table = profile_symbols.Table()
        self.assertTrue(table.add_program(self.folder / name, name))
        return table, table.text().splitlines()

    def test_a_program_with_symbols(self):
        table, lines = self.lines("program")
        self.assertEqual(lines[0], f"program {self.folder / 'program'}")
        self.assertTrue(lines[1].startswith("segment 401000 1000 "))
        self.assertEqual(lines[2].split()[:3], ["function", "401000", "401003"])
        self.assertEqual(table.function(int(lines[2].split()[3])), Function("program", "sized"))

    def test_a_program_without_is_one(self):
        table, lines = self.lines("stripped")
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[2].endswith(" whole"))
        self.assertEqual(table.function(int(lines[2].split()[3])), Function("stripped", "stripped"))

    def test_a_program_that_lies_anywhere_is_where_the_guest_puts_it(self):
        _, lines = self.lines("pie")
        self.assertTrue(lines[1].startswith("segment 555555555000 "), lines[1])
        places = (support.ROOT / "guest-mm" / "core" / "places.h").read_text().replace("'", "")
        self.assertIn(f"kPieBase{{{profile_symbols.PIE_BASE:#x}}}", places)

    def test_other_files_are_no_programs(self):
        for name, data in (("text", b"#!/bin/sh\n"), ("short", b"\x7fELF\x02\x01"), ("bad", b"\x7fELF\x02\x01" + b"\xff" * 80)):
            (self.folder / name).write_bytes(data)
            self.assertFalse(profile_symbols.Table().add_program(self.folder / name, name))

    def test_an_image_that_is_no_kernel(self):
        with self.assertRaisesRegex(UserError, "has 0 functions that are the kernel's mark"):
            profile_symbols.Table().add_kernel(self.folder / "program")

    def test_xen_with_symbols_and_without(self):
        table = profile_symbols.Table()
        table.add_xen(self.folder / "program")
        lines = table.text().splitlines()
        self.assertEqual(lines[:2], ["ring0 ffff800000000000 ffff880000000000", "image hypervisor"])
        self.assertEqual(table.function(int(lines[2].split()[3])), Function("xen", "sized"))
        table = profile_symbols.Table()
        table.add_xen(None)
        self.assertEqual(table.text().splitlines(), lines[:2])
        self.assertEqual((table.function(1).name, profile_formats.owner(table.function(1))), ("Xen", "hypervisor"))

    def test_where_xen_enters_the_kernel(self):
        self.assertEqual([profile_symbols._kernel_what(name) for name in ("ring3_syscall_entry", "exception_stub_13", "ring3_return")],
                         [" bounce", " bounce", ""])

    def test_exits_have_names(self):
        table = profile_symbols.Table()
        self.assertEqual(table.function((1 << 30) + 0x81).name, "[exit 0x81: VMMCALL]")
        self.assertEqual(table.function((1 << 30) + 0x13).name, "[exit 0x13: write of CR3]")
        self.assertEqual(table.function((1 << 30) + 0x999).name, "[exit 0x999]")

    def test_programs_of_a_folder(self):
        found = dict(profile_symbols.programs([(self.folder, "/opt")]))
        self.assertEqual(found[self.folder / "pie"], "/opt/pie")
        self.assertIn("/bin/mmlat", found.values())


class PerfTest(unittest.TestCase):
    # perf 6.1; the names are those of perf-stat(1), "JSON FORMAT".
    STAT = """# started on Sat Nov 28 19:13:25 2026

{"counter-value" : "123456789.000000", "unit" : "", "event" : "instructions:G", "event-runtime" : 522890, "pcnt-running" : 100.00, "metric-value" : 0.5, "metric-unit" : "insn per cycle"}
{"counter-value" : "<not supported>", "unit" : "", "event" : "cycles:G", "event-runtime" : 0, "pcnt-running" : 100.00, "metric-value" : 0.000000, "metric-unit" : ""}
{"counter-value" : "<not counted>", "unit" : "", "event" : "cycles:H", "event-runtime" : 0, "pcnt-running" : 0.00, "metric-value" : 0.000000, "metric-unit" : ""}
"""
    EXITS = """

Analyze events for all VMs, all VCPUs:

             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time 

                 npf       3415    42.80%     9.24%      0.39us     71.35us      3.57us ( +-   0.90% )
                 hlt        231     2.90%    90.76%     10.00us   1000.00us    400.25us ( +-  20.04% )

Total Samples:3646, Total events handled time:132118.00us.

"""

    def test_counts(self):
        self.assertEqual(perf.parse_stat(self.STAT), {"instructions:G": 123456789.0, "cycles:G": None, "cycles:H": None})

    def test_counts_of_another_format(self):
        for line in ('{"event" : "cycles"}', '{"counter-value" : 1, "event" : "c"}', "{", '{"counter-value": "many", "event": "c"}'):
            self.assertRaisesRegex(UserError, "line 1 is not as its manual says", perf.parse_stat, line)

    def test_exits(self):
        self.assertEqual(perf.parse_exits(self.EXITS), [perf.Exits("npf", 3415, 9.24, 3.57), perf.Exits("hlt", 231, 90.76, 400.25)])
        self.assertEqual(perf.parse_exits("Total Samples:0, Total events handled time:0.00us.\n"), [])

    def test_the_table(self):
        text = perf.terminal("native", perf.parse_stat(self.STAT), perf.parse_exits(self.EXITS))
        self.assertRegex(text, r"123,456,789  instructions:G")
        self.assertRegex(text, r"not counted here  cycles:G")
        self.assertRegex(text, r"3,415\s+9\.2%\s+3\.57 us  npf")
        text = perf.terminal("native", {"cycles:G": None}, [])
        self.assertIn("--accel tcg", text)
        self.assertIn("needs the right to trace", text)


class CommandLineTest(unittest.TestCase):
    def refused(self, *arguments):
        done = subprocess.run([support.ROOT / "experiments" / "profile", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        return done.stderr

    def test_bad_use(self):
        for arguments, words in (((), "give a program after --, or --rows\n  rows are getpid,"),
                                 (("--rows", "brk", "--", "true"), "not both"),
                                 (("--rows", "nope"), "there is no row nope\n  rows are "),
                                 (("--scale", "5", "--", "true"), "a program has none"),
                                 (("--rows", "brk", "--boot"), "a row is no boot"),
                                 (("--rows", "brk", "--scale", "0"), "out of range"),
                                 (("--without", "--mode", "vma", "--rows", "brk"), "bare machine alone"),
                                 (("--top", "0", "--", "true"), "nothing to show"),
                                 (("--timeout", "0", "--", "true"), "not a time"),
                                 (("--memory", "much", "--", "true"), "not an amount"),
                                 (("--with", "/nonexistent/file", "--", "true"), "does not exist"),
                                 (("--mode", "bogus", "--", "true"), "invalid choice"),
                                 (("--out", "/proc/version", "--", "true"), "--out /proc/version")):
            with self.subTest(arguments):
                self.assertIn(words, self.refused(*arguments))


if __name__ == "__main__":
    unittest.main()
