#!/usr/bin/python3
"""Puts a comparison's figures into the README and papers/figures: papers/update_figures.py DIR

DIR is what `experiments/compare --out DIR` wrote. The table between the README's two figure marks is replaced, the
pictures are copied, nothing else changes.
"""

import csv
import json
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures: papers/update_figures.py -->", "<!-- end of figures -->"
PICTURES = ("ratios.png", "grid.png", "exits.png", "means.png")
INTERFACES = ("kvmpv", "vmi", "lguest", "xen")  # what the translation layer feeds, beside shadow


def number(value):
    return f"{value:,.0f}"


def exits(value):
    return "0" if value < 0.005 else f"{value:.2f}".rstrip("0").rstrip(".")


def table(folder, results):
    rows = {}
    with open(folder / "results.csv", newline="") as source:
        for row in csv.DictReader(source):
            rows.setdefault(row["row"], {})[row["mode"]] = row
    lines = ["| executed instructions per operation | native | shadow | exits | vma | of them hypervisor | exits | vma ÷ native "
             "| Linux native, published |",
             "|---|---|---|---|---|---|---|---|---|"]
    for modes in rows.values():
        native, shadow, vma = (modes[name] for name in ("native", "shadow", "vma"))
        linux = number(float(native["linux"])) if native["linux"] else ""
        lines.append(f"| {native['title']} | {number(float(native['instructions']))} "
                     f"| {number(float(shadow['instructions']))} | {exits(float(shadow['exits']))} "
                     f"| {number(float(vma['instructions']))} | {number(float(vma['hypervisor']))} "
                     f"| {exits(float(vma['exits']))} | {float(vma['ratio']):.2f} | {linux} |")
    lines += ["", "The translation layer on other hypervisors' interfaces, instructions and exits per operation, the same run:", "",
              "| | native | shadow | exits | " + " | ".join(f"{mode} | exits" for mode in INTERFACES) + " |",
              "|---|---|" + "---|---|" * (1 + len(INTERFACES))]
    for modes in rows.values():
        cells = [number(float(modes["native"]["instructions"]))]
        for mode in ("shadow", *INTERFACES):
            cells += [number(float(modes[mode]["instructions"])), exits(float(modes[mode]["exits"]))]
        lines.append(f"| {modes['native']['title']} | " + " | ".join(cells) + " |")
    means = results["means"]
    lines += ["", "| geometric mean of the ratios to native | instructions | modelled, +1,000 per exit | modelled, +2,000 per exit |",
              "|---|---|---|---|"]
    for mode in results["modes"]:
        mean = means[mode]
        values = (mean[name] for name in ("instructions", "modelled_1000", "modelled_2000"))
        lines.append("| " + mode + " | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    return lines


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    folder = pathlib.Path(sys.argv[1])
    if not (folder / "results.json").exists():
        print(f"error: {folder} holds no results.json: run experiments/compare --out {folder} first", file=sys.stderr)
        return 2
    results = json.loads((folder / "results.json").read_text())
    readme = ROOT / "README.md"
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        print("error: README.md has lost its figure marks", file=sys.stderr)
        return 2
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    readme.write_text(head + BEGIN + "\n" + "\n".join(table(folder, results)) + "\n" + END + tail)
    figures = ROOT / "papers" / "figures"
    figures.mkdir(exist_ok=True)
    for name in PICTURES:
        shutil.copyfile(folder / name, figures / name)
    print(f"README.md and {figures.relative_to(ROOT)} hold the figures of {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
