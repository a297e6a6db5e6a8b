import importlib.util
import json
import pathlib
import subprocess
import tempfile
import unittest

import support
from lib import campaigns, comparison, merging, report
from lib.errors import UserError
from report_test import made_up

_spec = importlib.util.spec_from_file_location("fuzz_process", support.ROOT / "experiments" / "campaigns" / "fuzz.py")
fuzz_process = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz_process)

WHOLE = {"modes": ["vma", "native"], "workloads": ["mmlat", "script"], "parameters": {"usual": [], "tenth": ["--scale", 10]},
         "fuzzers": {"files_fuzz": {"inputs": 1000, "seeds": [1, 2]}}}


def only(found, modes, workload):
    """The part of a comparison that one process of a campaign measures."""
    part = comparison.Comparison(modes, found.peers, found.about_peers, facts=dict(found.facts))
    if workload == "mmlat":
        part.by_mode = {mode: found.by_mode[mode] for mode in modes}
    else:
        part.programs = {"script": {mode: found.script[mode] for mode in modes}}
    return part


class ConfigTest(unittest.TestCase):
    def test_names_are_in_the_usual_order(self):
        found = campaigns.checked(WHOLE, "x")
        self.assertEqual(found.modes, ["native", "vma"])
        self.assertEqual(found.parameters, {"usual": [], "tenth": ["--scale", "10"]})

    def test_what_a_campaign_can_do_without(self):
        found = campaigns.checked({"fuzzers": WHOLE["fuzzers"]}, "x")
        self.assertEqual((found.modes, found.workloads), ([], []))
        self.assertEqual(campaigns.checked({"modes": ["vma"], "workloads": ["script"]}, "x").parameters, {"usual": []})

    def test_bad_ones_say_what_is_wrong(self):
        for change, words in (({"modes": ["qemu"]}, "there is no qemu"), ({"modes": "vma"}, "modes is no list"),
                              ({"workloads": ["none"]}, "there is no none"), ({"moods": []}, "moods means nothing"),
                              ({"parameters": ["x"]}, "parameters is a map"),
                              ({"parameters": {"../x": []}}, "no name of a folder"),
                              ({"parameters": {"x": "--large"}}, "x is no list"),
                              ({"parameters": {"x": ["--out", "y"]}}, "--out is not for a campaign"),
                              ({"parameters": {"x": ["--out=y"]}}, "--out=y is not for a campaign"),
                              ({"parameters": {"x": ["--walks"]}}, "--walks is not for a campaign"),
                              ({"fuzzers": ["files_fuzz"]}, "fuzzers is a map"),
                              ({"fuzzers": {"no_fuzz": {}}}, "there is no no_fuzz"),
                              ({"fuzzers": {"files_fuzz": {"inputs": 0, "seeds": [1]}}}, "more than 0"),
                              ({"fuzzers": {"files_fuzz": {"inputs": 1, "seeds": []}}}, "different seeds"),
                              ({"fuzzers": {"files_fuzz": {"inputs": 1, "seeds": [1, 1]}}}, "different seeds"),
                              ({"fuzzers": {"files_fuzz": {"inputs": True, "seeds": [1]}}}, "more than 0")):
            with self.subTest(change):
                with self.assertRaisesRegex(UserError, words):
                    campaigns.checked(WHOLE | change, "x")
        with self.assertRaisesRegex(UserError, "not a campaign"):
            campaigns.checked(["modes"], "x")


class MergeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)
        self.found = made_up()
        self.found.facts |= {"hypervisor image SHA-256": "1", "mmlat SHA-256": "2", "QEMU": "3"}

    def write(self, part, *measure):
        path = campaigns._results(self.out, measure)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(report.as_json(part)))
        return path

    def test_parts_make_the_whole(self):
        for mode in self.found.modes:
            for workload in ("mmlat", "script"):
                self.write(only(self.found, [mode], workload), "usual", workload, mode)
        campaign = campaigns.checked({"modes": self.found.modes, "workloads": ["mmlat", "script"]}, "x")
        whole = campaigns.gather(campaign, self.out)
        self.assertEqual(whole.problems, [])
        self.assertEqual(whole.comparisons["usual"].by_mode, self.found.by_mode)
        self.assertEqual(whole.comparisons["usual"].script, self.found.script)
        self.assertEqual(whole.comparisons["usual"].misses, self.found.misses)
        campaigns.write(whole, self.out)
        self.assertIn('href="usual/report.html"', (self.out / "report.html").read_text())
        self.assertEqual(json.loads((self.out / "usual" / "results.json").read_text())["modes"], self.found.modes)

    def test_what_is_missing_is_named_and_the_rest_is_reported(self):
        self.write(only(self.found, ["native"], "mmlat"), "usual", "mmlat", "native")
        (self.out / "fuzz" / "files_fuzz").mkdir(parents=True)
        (self.out / "fuzz" / "files_fuzz" / "1.json").write_text(json.dumps(
            {"fuzzer": "files_fuzz", "seed": 1, "inputs": 1000, "status": 77, "finding": "a <page> too many",
             "inputs_kept": ["1-crash-abc"]}))
        campaign = campaigns.checked({"modes": ["native", "vma"], "workloads": ["mmlat"], "fuzzers": WHOLE["fuzzers"]}, "x")
        whole = campaigns.gather(campaign, self.out)
        self.assertEqual(len(whole.problems), 3)
        self.assertIn("usual mmlat vma: failed", whole.problems[0])
        self.assertIn("a <page> too many (1-crash-abc)", whole.problems[1])
        self.assertIn("files_fuzz seed 2: failed", whole.problems[2])
        self.assertIn("1,000 inputs in 1 processes, 1 findings", campaigns.terminal(whole))
        campaigns.write(whole, self.out)
        self.assertIn("a &lt;page&gt; too many", (self.out / "report.html").read_text())
        self.assertEqual([state for _, state in campaigns.states(campaign, self.out)], ["done", "to do", "done", "to do"])

    def test_other_images_are_not_merged(self):
        native, vma = (only(self.found, [mode], "mmlat") for mode in ("native", "vma"))
        vma.facts["QEMU"] = "another"
        with self.assertRaisesRegex(UserError, "b and a have another QEMU"):
            merging.merge([("a", native), ("b", vma)])

    def test_what_is_no_result_is_said(self):
        path = self.write(only(self.found, ["native"], "mmlat"), "usual", "mmlat", "native")
        for text in ("{", "{}", "[]"):
            path.write_text(text)
            with self.assertRaisesRegex(UserError, "not the results of a comparison"):
                merging.load(path)


class FuzzTest(unittest.TestCase):
    def test_what_was_found_is_in_the_sanitizers_words(self):
        self.assertEqual(fuzz_process.finding("INFO: Seed: 1\n==12==ERROR: AddressSanitizer: heap-use\nSUMMARY: x\n"),
                         "AddressSanitizer: heap-use")
        self.assertEqual(fuzz_process.finding("one\nno such corpus\n\n"), "no such corpus")
        self.assertEqual(fuzz_process.finding(""), "ended without a word")


@unittest.skipUnless(pathlib.Path(campaigns.SNAKEMAKE).exists(), "snakemake is missing: apt-get install snakemake")
class WorkflowTest(unittest.TestCase):
    def test_everything_of_the_usual_campaign_is_planned_once(self):
        campaign = campaigns.read(campaigns.USUAL)
        pieces = len(campaigns.states(campaign, pathlib.Path("nowhere")))
        with tempfile.TemporaryDirectory() as name:
            config = pathlib.Path(name, campaigns.MARKER)
            config.write_text(json.dumps(vars(campaign) | {"root": str(support.ROOT)}))
            done = subprocess.run([campaigns.SNAKEMAKE, "--snakefile", campaigns.FOLDER / "Snakefile", "--directory", name,
                                   "--configfile", config, "--dry-run", "--quiet", "rules", "--jobs", "1"],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout + done.stderr, rf"total\s+{pieces + 1}\s")


if __name__ == "__main__":
    unittest.main()
