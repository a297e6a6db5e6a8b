import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

import support
import paper
from lib import latex, paper_data, paper_tables, paper_values
from lib.errors import UserError

TEXT = (support.ROOT / "papers" / "paper.tex").read_text()
BODY = TEXT.split(r"\begin{document}", 1)[1]
REFERENCES = (support.ROOT / "papers" / "references.tex").read_text()
# What is no figure: years and the day of the discussion, and names that hold digits.
NAMES = re.compile(r"\b(?:20[012]\d|9 March|i386|x86-64|CR3)\b")
# What is not printed: keys, file names, lengths, columns.
UNPRINTED = re.compile(r"(?<!\\)%.*|\\(?:val|op|ref|label|cite|input|by|having|fit)\{[^{}]*\}|\\multicolumn\{\d\}|\\arraystretch\}\{[\d.]+\}"
                       r"|\{[\d.]+\\(?:text|column)width\}")


def named(command, text=BODY):
    return set(re.findall(rf"\\{command}\{{([^{{}}#]*)\}}", text))


def results_folder(folder, modes, rows=("map-unmap", "anon-touch"), walks=()):
    """What a comparison of a few rows leaves."""
    published = json.loads((support.ROOT / "experiments" / "peers.json").read_text())

    def figure(row, mode):
        return {"row": row, "mode": mode, "ops": 1, "instructions": 100.0 * (1 + len(mode)), "hypervisor_instructions": 1.0,
                "memory_exits": 0.0, "platform_exits": 0.0, "idle_ns": 0.0, "counters": {}}

    found = {"modes": list(modes), "rows": {mode: [figure(row, mode) for row in rows] for mode in modes}, "programs": {},
             "means": {mode: {"instructions": 1.0, "modelled_1000": 1.0, "modelled_2000": 1.0} for mode in modes},
             "walks": list(walks), "runs": [], "problems": [], "facts": {"QEMU": "QEMU 1_2 & more"},
             "published": {"about": published["about"], "rows": published["rows"]}}
    (folder / "results.json").write_text(json.dumps(found))


class LatexTest(unittest.TestCase):
    def test_what_has_a_meaning_in_latex_is_escaped(self):
        self.assertEqual(latex.escape(r"a_b & 5% of {x} #1 $2 ^~ \in"),
                         r"a\_b \& 5\% of \{x\} \#1 \$2 \textasciicircum{}\textasciitilde{} \textbackslash{}in")
        self.assertEqual(latex.escape("×128 – ÷ …"), r"$\times$128 -- $\div$ \ldots{}")

    def test_what_has_no_spelling_does_not_stop_latex(self):
        self.assertEqual(latex.escape("a☃b"), "a?b")

    def test_dashes_of_a_command_stay_two(self):
        self.assertEqual(latex.typed("a/b --c d,e"), r"\texttt{a/\allowbreak{}b {-}{-}c d,\allowbreak{}e}")

    def test_a_table_has_as_many_cells_in_each_line(self):
        for name, text in paper_tables.all_tables(paper_data.read()).items():
            with self.subTest(name):
                lines = [line for line in text.splitlines() if line.endswith(r"\\") and r"\multicolumn" not in line]
                self.assertEqual(len({len(re.findall(r"(?<!\\)&", line)) for line in lines}), 1)
                self.assertGreater(len(lines), 1)


class TextTest(unittest.TestCase):
    def test_no_figure_is_written_by_hand(self):
        printed = NAMES.sub("", UNPRINTED.sub("", BODY))
        found = [line.strip() for line in printed.splitlines() if re.search(r"\d", line)]
        self.assertEqual(found, [])

    def test_such_a_figure_would_be_found(self):
        for line in ("takes 2,500 instructions", r"\val{mean/vma} of 26 rows", "within 5\\%", "1.07 times"):
            self.assertRegex(NAMES.sub("", UNPRINTED.sub("", line)), r"\d")

    def test_every_figure_that_the_text_names_is_made(self):
        made = set(paper_values.values(paper_data.read()))
        self.assertGreater(len(named("val")), 50)
        self.assertEqual(named("val") - made, set())
        self.assertEqual({f"title/{name}" for name in named("op")} - made, set())

    def test_every_part_and_table_that_the_text_names_is_known(self):
        data = paper_data.read()
        # Of what is kept there is no mode under KVM, and Linux's figures may be of an earlier program.
        sometimes = {"kvm", "measured"}
        self.assertLessEqual(named("having") - sometimes, paper_values.have(data, ("ratios", "sensitivity")))
        tables = {name for _, name in re.findall(r"\\datatable\{(table\*?)\}\{([^}]*)\}", BODY)}
        self.assertEqual(tables - sometimes, set(paper_tables.all_tables(data)) - {"facts", "commands"})

    def test_every_source_is_there_and_cited(self):
        self.assertEqual(named("cite"), named("bibitem", REFERENCES))

    def test_every_reference_has_its_label(self):
        labels = named("label") | {f"tab:{name}" for _, name in re.findall(r"\\datatable\{(table\*?)\}\{([^}]*)\}", BODY)}
        labels |= {f"fig:{name}" for _, name in re.findall(r"\\drawn\{(figure\*?)\}\{([^}]*)\}", BODY)}
        self.assertEqual(named("ref") - labels, set())

    def test_every_command_exists_and_knows_its_options(self):
        by = named("by") | set(re.findall(r"\{(\w+)\}\{\\(?:small|footnotesize|scriptsize)\}", BODY))
        self.assertEqual(by - set(paper_data.COMMANDS), set())
        for command in paper_data.COMMANDS.values():
            with self.subTest(command):
                program, *words = command.split()
                done = subprocess.run([support.ROOT / program, "--help"], capture_output=True, text=True, check=True)
                for option in (word for word in words if word.startswith("--")):
                    self.assertRegex(done.stdout, rf"{option}\b")

    def test_every_file_that_the_text_names_exists(self):
        for name in named("cmd"):
            if "/" in name:
                with self.subTest(name):
                    self.assertTrue(list(support.ROOT.glob(name)))

    def test_the_kept_figures_say_what_the_text_says(self):
        self.assertEqual([claim for claim, true in paper_values.claims(paper_data.read()) if not true], [])


class DataTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_a_comparison_of_few_modes_is_enough(self):
        results_folder(self.folder, ("native", "vma"))
        data = paper_data.read(self.folder)
        there = paper_values.have(data, ())
        self.assertIn("means", there)
        self.assertEqual(there & {"rows", "interfaces", "xen", "script", "scale", "foreign", "xenpv"}, set())
        self.assertEqual(set(paper_tables.all_tables(data)) & {"rows", "losses", "lost", "interfaces", "xen", "script", "scale"}, set())
        self.assertEqual(paper_values.values(data)["anon-touch/vma/ratio"], "0.57")
        self.assertEqual(paper_values.values(data)["fact/qemu"], r"QEMU 1\_2 \& more")

    def test_this_image_on_other_hypervisors_stands_beside_linux_there(self):
        results_folder(self.folder, ("native", "shadow", "vma", "xen", "kvm-shadow", "kvm-nested", "xenpv"))
        data = paper_data.read(self.folder)
        self.assertLessEqual({"foreign", "xenpv"}, paper_values.have(data, ()))
        tables = paper_tables.all_tables(data)
        self.assertRegex(tables["foreign"], r"Xen \(\\textsf\{xenpv\}\).*KVM's shadow .*KVM, nested ")
        self.assertRegex(tables["beside"], r"kvm-shadow\} & 0\.36")
        self.assertIn("Xen itself", tables["itself"])
        found = paper_values.values(data)
        self.assertEqual((found["mean/kvm-shadow"], found["vma-over/kvm-shadow"], found["shadow/over-kvms"]), ("1.57", "0.36", "0.64"))

    def test_no_comparison_at_all_of_native(self):
        results_folder(self.folder, ("shadow",))
        data = paper_data.read(self.folder)
        self.assertNotIn("anon-touch/shadow/ratio", paper_values.values(data))
        paper_tables.all_tables(data)

    def test_without_walks_and_census_their_parts_are_missing(self):
        results_folder(self.folder, ("native", "vma"))
        with mock.patch.object(paper_data, "KEPT", self.folder / "nothing"):
            data = paper_data.read(self.folder)
        self.assertEqual(paper_values.have(data, ()) & {"walks", "census"}, set())
        self.assertFalse({"walks", "census"} & set(paper_tables.all_tables(data)))

    def test_walks_of_the_comparison_itself_come_first(self):
        walk = {"program": "chase-64m", "row": "chase-64m", "mode": "native", "instructions": 4, "exits": 0, "used": "one 4 KiB",
                "models": [{"references": float(index)} for index in range(6)]}
        results_folder(self.folder, ("native",), walks=[walk])
        found = paper_values.values(paper_data.read(self.folder))
        self.assertEqual(found["walk/chase-64m/native"], "0.00")
        self.assertNotIn("walk/chase-1g/native", found)

    def test_where_the_figures_say_otherwise_it_is_said(self):
        data = paper_data.read()
        data.means["vma"]["instructions"] = data.means["shadow"]["instructions"] + 1
        self.assertTrue([claim for claim, true in paper_values.claims(data) if not true])

    def test_bad_input(self):
        (self.folder / "results.json").write_text('{"modes": []}')
        (self.folder / "census.json").write_text("[]")
        (self.folder / "walks.json").write_text("{}")
        for words, arguments in (("holds no results.json", (self.folder / "nothing",)),
                                 ("not the results of a comparison", (self.folder,)),
                                 ("there is no such file", (None, self.folder / "nothing")),
                                 ("not page walks", (None, self.folder / "walks.json")),
                                 ("there is no such file", (None, None, self.folder / "nothing")),
                                 ("not a census", (None, None, self.folder / "census.json"))):
            with self.subTest(words):
                with self.assertRaisesRegex(UserError, words) as caught:
                    paper_data.read(*arguments)
                self.assertIn("experiments/", caught.exception.todo)


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def run_paper(self, *arguments):
        return subprocess.run([support.ROOT / "experiments" / "paper", *arguments], capture_output=True, text=True, check=False)

    def test_sources_without_latex(self):
        for name in ("one", "two"):
            done = self.run_paper("--no-pdf", "--out", self.folder / name)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        first, second = ({path.name: path.read_bytes() for path in (self.folder / name).iterdir()} for name in ("one", "two"))
        self.assertEqual(first, second)
        self.assertIn("picture-ratios.pdf", first)
        self.assertIn("table-rows.tex", first)

    def test_a_folder_of_something_else_is_left_alone(self):
        (self.folder / "mine").write_text("mine")
        done = self.run_paper("--no-pdf", "--out", self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("the folder holds something else", done.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["mine"])

    def test_no_such_results(self):
        done = self.run_paper("--results", self.folder / "nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("make it: experiments/compare", done.stderr)

    def build(self, *arguments, runs=3):
        if shutil.which("pdflatex") is None:
            self.skipTest("no pdflatex here: experiments/paper installs it, and builds the paper")
        data = paper_data.read(*arguments)
        paper.write_sources(data, self.folder / "out")
        paper.run_latex(self.folder / "out", runs)
        return (self.folder / "out" / "paper.pdf").read_bytes(), (self.folder / "out" / "paper.log").read_text(errors="replace")

    def test_the_paper(self):
        pdf, log = self.build()
        self.assertEqual(pdf[:5], b"%PDF-")
        self.assertEqual(paper.absent(log), [])
        self.assertNotRegex(log, r"undefined references|undefined citations|Citation .* undefined|Reference .* undefined")
        self.assertNotIn(str(self.folder).encode(), pdf)

    def test_the_paper_of_little_data(self):
        (self.folder / "in").mkdir()
        results_folder(self.folder / "in", ("native", "vma", "kvm-shadow"))
        with mock.patch.object(paper_data, "KEPT", self.folder / "nothing"):
            pdf, log = self.build(self.folder / "in", runs=2)
        self.assertEqual(pdf[:5], b"%PDF-")
        self.assertNotRegex(log, r"Reference .* undefined")

    def test_what_latex_refuses_is_shown(self):
        if shutil.which("pdflatex") is None:
            self.skipTest("no pdflatex here: experiments/paper installs it, and builds the paper")
        (self.folder / "paper.tex").write_text("\\documentclass{article}\\begin{document}\\nosuchthing\\end{document}\n")
        with self.assertRaisesRegex(UserError, "Undefined control sequence"):
            paper.run_latex(self.folder)
        self.assertFalse((self.folder / "paper.pdf").exists())


if __name__ == "__main__":
    unittest.main()
