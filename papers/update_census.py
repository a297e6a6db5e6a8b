#!/usr/bin/python3
"""Puts a census into papers/census.md: papers/update_census.py FILE

FILE is what `experiments/census --json FILE` wrote. What stands between the page's two marks is replaced.
"""

import json
import pathlib
import sys

PAGE = pathlib.Path(__file__).resolve().parent / "census.md"
BEGIN, END = "<!-- census: papers/update_census.py -->", "<!-- end of census -->"


def growth(row):
    return f"{100 * (row['with'] / row['without'] - 1):+.1f}%" if row["without"] else "new"


def tables(found):
    sites, published = found["call_sites"], found["published"]
    total = sites["memory"] + sites["platform"]
    redirected = sum(sites["redirected_natively"].values())
    lines = ["| | nopte | Linux, 2007 |", "|---|---|---|",
             f"| operations (memory + platform) | {found['operations']['memory']} + {found['operations']['platform']} "
             f"| fewer than {published['operations_below']} |",
             f"| call sites (memory + platform) | {sites['memory']} + {sites['platform']} | {published['call_sites']:,} |",
             f"| indirect calls, before patching | {total - sites['direct_as_linked']} | {published['call_sites']:,} |",
             f"| natively at boot: led to another function | {redirected} | |",
             f"| indirect or as linked, after patching | {total - redirected} | |",
             "", "| bytes of text | with | without | growth |", "|---|---|---|---|"]
    rows = found["text"] + [{**row, "part": f"Linux on i386, 2007: {row['part']}"} for row in published["text"]]
    lines += [f"| {row['part']} | {row['with']:,} | {row['without']:,} | {growth(row)} |" for row in rows]
    lines += ["", "| executed instructions per operation, native | patched | without | ratio |", "|---|---|---|---|"]
    lines += [f"| {row['title']} | {row['with']:,.2f} | {row['without']:,.2f} | {row['with'] / row['without']:.4f} |"
              for row in found["rows"]]
    return lines


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    try:
        found = json.loads(pathlib.Path(sys.argv[1]).read_text())
    except (OSError, json.JSONDecodeError) as error:
        print(f"error: {sys.argv[1]}: {error}: run experiments/census --json {sys.argv[1]} first", file=sys.stderr)
        return 2
    if not found["rows"]:
        print("error: the census holds no rows: it ran with --no-boot", file=sys.stderr)
        return 2
    text = PAGE.read_text()
    head, rest = text.split(BEGIN, 1)
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(tables(found)) + "\n" + END + rest.split(END, 1)[1])
    print(f"{PAGE.name} holds the census of {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
