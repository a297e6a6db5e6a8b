import os
import pathlib
import subprocess
import tempfile
import unittest

import support

SCRIPT = support.ROOT / "tests" / "support" / "install-packages"
# Stand-ins for Debian's: what is installed, and what the release has, are lines of two files. apt-get writes down what
# it was asked to install.
STANDINS = {
    "dpkg-query": 'sed "s/$/ install ok installed/" "$HERE/installed"',
    "apt-cache": 'if [ "$1" = depends ]; then grep "^$2 " "$HERE/depends" | sed "s/^[^ ]* /  Depends: /"; exit; fi; if grep -qxF -- "$2" "$HERE/release"; then echo "  Candidate: 1"; else echo "  Candidate: (none)"; fi',
    "apt-get": 'case "$1" in update) exit "$UPDATE";; download) [ "$INSTALL" = 0 ] && : >"$3.deb" || echo "E: no network" >&2; exit "$INSTALL";; esac; shift 4; printf "%s\\n" "$@" >>"$HERE/asked"; exit "$INSTALL"',
    "id": "echo 0",
}
BUILD = {"g++", "cmake", "ninja-build", "binutils", "libgtest-dev", "libboost-dev", "libabsl-dev", "python3"}
BOOT = {"qemu-system-x86", "seabios", "busybox-static"}
REPORT = {"python3-matplotlib"}
BENCH = {"libbenchmark-dev"}
CAMPAIGN = {"snakemake"}
PAPER = {"texlive-latex-base", "texlive-latex-recommended", "texlive-fonts-recommended"}
TESTS = {"clang-19", "clang-format-19", "clang-tidy-19", "libclang-rt-19-dev", "libzydis-dev", "cpio", "spin", "valgrind"}
# Of packages whose name holds a version: what the newest one's other name depends on.
DEPENDS = """linux-image-amd64 linux-image-6.1.0-56-amd64
xen-system-amd64 xen-hypervisor-4.17-amd64
xen-system-amd64 xen-utils-4.17
"""
DOWNLOADS = {"kernel": "linux-image-6.1.0-56-amd64", "xen": "xen-hypervisor-4.17-amd64", "user-mode-linux": "user-mode-linux",
             "xen-symbols": "xen-hypervisor-4.17-amd64-dbg"}
ALL = BUILD | BOOT | REPORT | BENCH | TESTS  # but a campaign's


class InstallPackagesTest(unittest.TestCase):
    def run_script(self, *arguments, installed=(), release=ALL, update=0, install=0, without=()):
        """Status, what was asked of apt-get, and what was said."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "installed").write_text("".join(f"{package}\n" for package in installed))
            (folder / "release").write_text("".join(f"{package}\n" for package in release))
            (folder / "asked").write_text("")
            (folder / "depends").write_text(DEPENDS)
            for program in ("bash", "sed", "grep", "env", "mkdir", "rm", *STANDINS):
                path = folder / program
                if program in without:
                    continue
                if program in STANDINS:
                    path.write_text(f"#!/bin/bash\n{STANDINS[program]}\n")
                    path.chmod(0o755)
                else:
                    os.symlink(f"/usr/bin/{program}", path)
            done = subprocess.run(["/bin/bash", SCRIPT, *arguments], capture_output=True, text=True, check=False,
                                  env={"PATH": name, "HERE": name, "UPDATE": str(update), "INSTALL": str(install)})
            return done.returncode, set((folder / "asked").read_text().split()), done.stdout + done.stderr

    def test_nothing_to_do_is_done_in_silence(self):
        self.assertEqual(self.run_script("tests", installed=ALL), (0, set(), ""))

    def test_what_is_missing_is_installed(self):
        self.assertEqual(self.run_script()[:2], (0, BUILD | BOOT))
        self.assertEqual(self.run_script("report")[:2], (0, BUILD | BOOT | REPORT))
        self.assertEqual(self.run_script("bench")[:2], (0, BUILD | BOOT | REPORT | BENCH))
        self.assertEqual(self.run_script("campaign", release=ALL | CAMPAIGN)[:2], (0, BUILD | BOOT | REPORT | CAMPAIGN))
        self.assertEqual(self.run_script("paper", release=ALL | PAPER)[:2], (0, {"python3"} | REPORT | PAPER))
        self.assertEqual(self.run_script("tests", installed=BUILD)[:2], (0, ALL - BUILD))

    def test_a_release_without_a_package(self):
        for absent, words in (("clang-tidy-19", "experiments/* work"), ("qemu-system-x86", "the hosted tests work"),
                              ("libbenchmark-dev", "experiments/bench cannot run"),
                              ("g++", "nothing can be built")):
            with self.subTest(absent):
                status, asked, said = self.run_script("tests", release=ALL - {absent})
                self.assertEqual((status, asked), (1, ALL - {absent}))
                self.assertIn(f"this release has no package {absent}: ", said)
                self.assertIn(words, said)

    def test_a_report_can_be_done_without(self):
        status, asked, said = self.run_script("report", release=ALL - REPORT)
        self.assertEqual((status, asked), (0, BUILD | BOOT))
        self.assertIn("this release has no package python3-matplotlib: experiments/compare prints its tables", said)

    def test_a_paper_is_not_built_without_latex(self):
        status, asked, said = self.run_script("paper", installed=ALL)
        self.assertEqual((status, asked), (1, set()))
        self.assertIn("experiments/paper writes the paper's sources with --no-pdf", said)

    def test_nothing_but_what_the_release_does_not_have(self):
        status, asked, said = self.run_script("tests", installed=ALL - {"clang-19", "cpio"}, release=())
        self.assertEqual((status, asked), (1, set()))
        self.assertIn("no package clang-19 cpio: ", said)

    def test_lists_that_cannot_be_renewed(self):
        self.assertEqual(self.run_script(update=100)[:2], (0, BUILD | BOOT))

    def test_what_cannot_be_installed(self):
        status, _, said = self.run_script(installed=ALL - {"cmake"}, install=100)
        self.assertEqual(status, 1)
        self.assertIn("apt-get could not install: cmake; install them by hand", said)

    def test_another_distribution(self):
        status, _, said = self.run_script(without=("dpkg-query", "apt-get", "apt-cache"))
        self.assertEqual(status, 1)
        self.assertIn("this is no Debian: install what is here called g++ cmake", said)

    def download(self, name, folder, **options):
        return self.run_script("download", name, folder, **options)

    def test_what_is_only_opened_is_downloaded_and_not_installed(self):
        for name, package in DOWNLOADS.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                status, asked, said = self.download(name, f"{folder}/new", release=DOWNLOADS.values())
                self.assertEqual((status, asked), (0, set()), said)
                self.assertIn(f"downloading: {package}", said)
                self.assertEqual(os.listdir(f"{folder}/new"), [f"{package}.deb"])

    def test_a_download_that_the_release_does_not_have(self):
        with tempfile.TemporaryDirectory() as folder:
            status, _, said = self.download("kernel", folder, release=ALL)
            self.assertEqual((status, os.listdir(folder)), (1, []))
        self.assertIn("error: this release has no package linux-image-amd64", said)

    def test_a_download_that_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            status, _, said = self.download("xen", folder, release=DOWNLOADS.values(), install=100)
        self.assertEqual(status, 1)
        self.assertIn("error: apt-get could not download xen-hypervisor-4.17-amd64: no network", said)

    def test_a_download_on_another_distribution(self):
        status, _, said = self.download("kernel", "/nowhere", without=("dpkg-query", "apt-get", "apt-cache"))
        self.assertEqual(status, 1)
        self.assertIn("this is no Debian: linux-image-amd64 cannot be had", said)

    def test_only_what_is_known_is_downloaded(self):
        self.assertEqual(self.download("bogus", "/nowhere")[0], 2)
        self.assertEqual(self.run_script("download", "kernel")[0], 2)

    def test_an_unknown_argument(self):
        self.assertEqual(self.run_script("bogus")[0], 2)


if __name__ == "__main__":
    unittest.main()
