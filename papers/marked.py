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


def main(doc, kept, take, write):
    """The script's status. Its argument, if any, is what take() keeps the figures of, or --check; write(figures, check)
    puts the kept ones into the pages. Both say themselves what is wrong, and give False."""
    arguments = sys.argv[1:]
    check = arguments == ["--check"]
    if len(arguments) > 1 or (not check and arguments and arguments[0].startswith("-")):
        print(doc.strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2
    if arguments and not check and not take(pathlib.Path(arguments[0])):
        return 2
    if not write(json.loads(kept.read_text()), check):
        return 1
    if not check:
        print(f"the pages hold the figures of {kept.relative_to(ROOT)}")
    return 0
