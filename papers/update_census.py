#!/usr/bin/python3
"""Puts a census into papers/census.md: papers/update_census.py [FILE | --check]

FILE is what `experiments/census --json FILE` wrote; papers/figures/census.json keeps it. What stands between the page's
marks is made from that. With --check nothing is written; status 1 says that the page differs.
"""

import json
import pathlib
import sys

import marked

SCRIPT = pathlib.Path(__file__).name
PAGE = marked.ROOT / "papers" / "census.md"
KEPT = marked.ROOT / "papers" / "figures" / "census.json"


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
    if found.get("engines"):
        lines += ["", "| bytes of text, the engine | for the interfaces alone | for both |", "|---|---|---|"]
        lines += [f"| {row['part']} | {row['interfaces']:,} | {row['both']:,} |" for row in found["engines"]]
    lines += ["", "| executed instructions per operation, native | patched | without | ratio |", "|---|---|---|---|"]
    lines += [f"| {row['title']} | {row['with']:,.2f} | {row['without']:,.2f} | {row['with'] / row['without']:.4f} |"
              for row in found["rows"]]
    return lines


def take(path):
    """Keeps a census. False: it is not a whole one."""
    try:
        found = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        print(f"error: {path}: {error}: run experiments/census --json {path} first", file=sys.stderr)
        return False
    if not found["rows"]:
        print("error: the census holds no rows: it ran with --no-boot", file=sys.stderr)
        return False
    KEPT.write_text(marked.json_text(found))
    return True


def write(found, check):
    return marked.put(PAGE, "census", SCRIPT, tables(found), check)


if __name__ == "__main__":
    sys.exit(marked.main(__doc__, KEPT, take, write))
