"""What the scripts that write figures into pages share: the part between two marks, kept figures, arguments."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def put(path, name, script, lines, check):
    """Replaces what stands between `name`'s marks; with `check`, only says when it would. True: the page is as it should."""
    begin, end = f"<!-- {name}: papers/{script} -->", f"<!-- end of {name} -->"
    page = path.relative_to(ROOT)
    text = path.read_text()
    if begin not in text or end not in text:
        print(f"error: {page} has lost its marks: {begin} and {end}", file=sys.stderr)
        return False
    head, rest = text.split(begin, 1)
    new = head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]
    if new == text:
        return True
    if check:
        print(f"error: {page}: the {name} are not those of papers/figures: run papers/{script}", file=sys.stderr)
        return False
    path.write_text(new)
    return True


def json_text(kept):
    """A line for each row of a table."""
    parts = []
    for name, value in kept.items():
        if isinstance(value, list):
            rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in value)
            parts.append(f" {json.dumps(name)}: [\n{rows}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def misused(arguments):
    """At most one argument: what to take the figures from, or --check."""
    return len(arguments) > 1 or (arguments[:1] != ["--check"] and arguments[:1] != [] and arguments[0].startswith("-"))
