"""Builds the paper from the data: out/paper/paper.pdf, every number of it from a comparison, page walks and a census."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import errors, images, paper_data, paper_tables, paper_values, report  # noqa: E402

SOURCES = tuple(images.ROOT / "papers" / name for name in ("paper.tex", "references.tex"))
_MARKER = "values.tex"
_RUNS = 3  # references to what comes later move it once
EPILOG = """\
Without options the figures are those that papers/figures keeps, of one run. The text (papers/paper.tex) holds no figure by hand; where data
is missing it says which command makes it. LaTeX comes from Debian's packages, which nothing but this asks for. The same data gives the same
PDF, byte for byte. Ends with status 1 where the figures do not say what the text says in words, which is printed.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/paper", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--results", type=pathlib.Path, metavar="DIR",
                        help="what experiments/compare --out DIR wrote (default: papers/figures/compare.json)")
    parser.add_argument("--walks", type=pathlib.Path, metavar="FILE",
                        help="page walks as papers/update_figures.py keeps them (default: those of DIR, else papers/figures/walks.json)")
    parser.add_argument("--census", type=pathlib.Path, metavar="FILE",
                        help="what experiments/census --json FILE wrote (default: papers/figures/census.json)")
    parser.add_argument("--out", type=pathlib.Path, default=images.ROOT / "out" / "paper", metavar="DIR",
                        help="where paper.pdf and its sources go (default: out/paper)")
    parser.add_argument("--no-pdf", action="store_true", help="only the sources: neither LaTeX nor its packages are asked for")
    return parser.parse_args(arguments)


def write_sources(data, folder):
    """Everything that LaTeX reads."""
    try:
        from lib import plots  # here, because matplotlib takes a second to load
    except ImportError as error:
        raise errors.UserError(f"the pictures cannot be drawn: {error}", "install Debian's python3-matplotlib") from error
    pictures = plots.for_page(data.comparison)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).write_text(paper_values.tex(data, pictures))
        for old in (*folder.glob("table-*.tex"), *folder.glob("picture-*.pdf"), folder / "paper.pdf"):
            old.unlink(missing_ok=True)
        for name, pdf in pictures.items():
            (folder / f"picture-{name}.pdf").write_bytes(pdf)
        for name, text in paper_tables.all_tables(data).items():
            (folder / f"table-{name}.tex").write_text(text)
        for source in SOURCES:
            shutil.copyfile(source, folder / source.name)
    except OSError as error:
        raise errors.UserError(f"--out {folder}: {error.strerror}") from error


def run_latex(folder, runs=_RUNS):
    # Nothing of the day, the folder or this machine goes into the file.
    environment = os.environ | {"SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0"), "FORCE_SOURCE_DATE": "1",
                                "max_print_line": "1000"}
    for _ in range(runs):
        try:
            done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"], cwd=folder,
                                  capture_output=True, env=environment, check=False)
        except OSError as error:
            raise errors.UserError(f"pdflatex cannot be started: {error.strerror}",
                                   "install Debian's texlive-latex-base, or give --no-pdf") from error
        if done.returncode != 0:
            (folder / "paper.pdf").unlink(missing_ok=True)
            said = done.stdout.decode(errors="replace").splitlines()
            first = next((index for index, line in enumerate(said) if line.startswith("!")), max(len(said) - 5, 0))
            raise errors.UserError("pdflatex failed: " + " ".join(said[first:first + 4]), f"the whole log: {folder}/paper.log")


def absent(log):
    """The figures that the text names and the data lacks, as LaTeX says."""
    return sorted(set(re.findall(r"no figure (\S+)", log)))


def main():
    options = parse(sys.argv[1:])
    data = paper_data.read(options.results, options.walks, options.census)
    report.check_destination(options.out, marker=_MARKER)
    if not options.no_pdf:
        images.install("paper")
    write_sources(data, options.out)
    unsaid = [claim for claim, true in paper_values.claims(data) if not true]
    for claim in unsaid:
        print(f"PROBLEM: the text says that {claim}; these figures do not", file=sys.stderr)
    if options.no_pdf:
        print(f"sources: {options.out}/paper.tex")
        return 1 if unsaid else 0
    images.say("running pdflatex")
    run_latex(options.out)
    for figure in absent((options.out / "paper.log").read_text(errors="replace")):
        print(f"note: the text prints n/a for {figure}, which this data does not have", file=sys.stderr)
    print(f"paper: {options.out}/paper.pdf")
    return 1 if unsaid else 0


if __name__ == "__main__":
    errors.run_main(main)
