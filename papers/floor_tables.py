"""What papers/floors.md holds of the kept figures: aims beside floors, means, forks, and rows that take more than they did before."""

import fnmatch
import json
import pathlib

FIGURES = pathlib.Path(__file__).resolve().parent / "figures"
REASONS = pathlib.Path(__file__).resolve().parent / "slower.json"
# A row takes more than before from here on; and what is named besides.
SLOWER = 1.02
NEARLY = 1.01
# Exits of less are a stray page's.
_STRAY = 0.01


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}".removesuffix(".0")


def exits(value):
    return "0" if value < 0.005 else f"{value:,.2f}".rstrip("0").rstrip(".")


def before():
    """(row, mode) → what it took before the fast paths."""
    return {(row["row"], row["mode"]): row for row in json.loads((FIGURES / "base.json").read_text())["rows"]}


def reasons():
    return json.loads(REASONS.read_text())["reasons"]


def slower(data, base, least=SLOWER):
    """(row, mode, before, now) of each figure that takes more than `least` times what it did, in instructions or exits."""
    found = []
    for row in data["rows"]:
        for mode, now in row["modes"].items():
            then = base.get((row["row"], mode))
            if then and now and (now["instructions"] > least * then["instructions"]
                                 or now["memory_exits"] > least * then["exits"] + _STRAY):
                found.append((row, mode, then, now))
    return found


def fits(reason, row, mode):
    return row in reason["rows"] and any(fnmatch.fnmatch(mode, pattern) for pattern in reason["modes"])


def reason_of(found, row, mode):
    """The first that fits, or None."""
    return next((reason for reason in found if fits(reason, row, mode)), None)


def problems(data, base, found):
    """What is slower without a reason, and reasons of nothing that is."""
    rows = [(row["row"], mode) for row, mode, _, _ in slower(data, base)]
    used = [reason_of(found, *where) for where in rows]
    return ([f"{mode}, {row}: more than before the fast paths by over 2%, and {REASONS.name} has no reason"
             for (row, mode), reason in zip(rows, used) if reason is None]
            + [f"{REASONS.name}: the reason for {', '.join(reason['rows'])} in {', '.join(reason['modes'])} fits no row that takes more"
               for reason in found if not any(reason is each for each in used)])


def slower_table(data, base, found):
    lines = ["| row | mode | before | exits | now | exits | more | reason |", "|---|---|---|---|---|---|---|---|"]
    told = None
    for reason in [*found, None]:
        for row, mode, then, now in slower(data, base):
            if reason_of(found, row["row"], mode) is not reason:
                continue
            more = now["instructions"] / then["instructions"] - 1
            why = "**none is known**" if reason is None else reason["reason"] if reason is not told else "the same"
            told = reason
            lines.append(f"| {row['row']} | {mode} | {number(then['instructions'])} | {exits(then['exits'])} | {number(now['instructions'])} "
                         f"| {exits(now['memory_exits'])} | {more:+.1%} | {why} |")
    return lines + ["", *_nearly(data, base)]


def _nearly(data, base):
    """In one sentence: what takes more by 1 to 2%."""
    worse = {(row["row"], mode) for row, mode, _, _ in slower(data, base)}
    rows = {}
    for row, mode, then, now in slower(data, base, NEARLY):
        if (row["row"], mode) not in worse:
            rows.setdefault(row["row"], []).append(f"{mode} {now['instructions'] / then['instructions'] - 1:+.1%}")
    count = len([1 for row in data["rows"] for mode, now in row["modes"].items() if now and (row["row"], mode) in base])
    text = "; ".join(f"{row} ({', '.join(modes)})" for row, modes in rows.items())
    return [f"{len(worse)} of {count} figures take over 2% more than before. Between 1 and 2%: {text or 'none'}."]


def floor_table(data, aims):
    """Of the fast paths that miss an aim: aims, figures, floors."""
    rows = {row["row"]: row for row in data["rows"]}
    lines = ["| row | aim, native; vma; exits | now | floor | made of | what is above it |", "|---|---|---|---|---|---|"]
    met = []
    for each in aims["rows"]:
        native, vma = (rows[each["row"]]["modes"][mode] for mode in ("native", "vma"))
        if "floor" not in each:
            met.append(rows[each["row"]]["title"])
            continue
        now = f"{number(native['instructions'])}; {number(vma['instructions'])}; {exits(vma['memory_exits'])}"
        aim, floor = (f"{number(three[0])}; {number(three[1])}; {exits(three[2])}" for three in (each["aim"], each["floor"]))
        lines.append(f"| {each['row']} | {aim} | {now} | {floor} | {each['made_of']} | {each['rest']} |")
    return lines + (["", f"Without a line, since it meets its aim: {'; '.join(met)}."] if met else [])


def mean_lines(comparison, aims, mean):
    """The three means of vma over native: aimed at, now, and with the rows above at their floors. `mean`: the geometric one."""
    floors = {row["row"]: row["floor"] for row in aims["rows"] if "floor" in row}
    costs = (0, 1000, 2000)
    now, floor = ([], [])
    for cost in costs:
        real, at_floor = [], []
        for row in comparison.averaged():
            native, vma = (comparison.by_mode[mode][row] for mode in ("native", "vma"))
            ours = [native.instructions, vma.instructions, vma.exits]
            real.append((ours[1] + cost * ours[2]) / ours[0])
            least = [min(pair) for pair in zip(ours, floors.get(row, ours))]
            at_floor.append((least[1] + cost * least[2]) / least[0])
        now.append(mean(real))
        floor.append(mean(at_floor))
    lines = ["| geometric mean, vma ÷ native | aim | now | every row above at its floor |", "|---|---|---|---|"]
    for cost, aim, *values in zip(costs, aims["means"]["aim"], now, floor):
        lines.append(f"| {f'+{cost:,} per exit' if cost else 'instructions'} | {aim:.2f} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    return lines


def fork_lines(data, base, published):
    """Fork of 64 MiB against before and Linux, and what a region costs a fork."""
    rows = {row["row"]: row["modes"] for row in data["rows"]}
    linux = next(row["linux"] for row in published if row["name"] == "fork-64m")
    lines = ["| fork+exit+wait, 64 MiB touched | before | now | fewer, of 50 × | Linux | fewer, of 300 × |", "|---|---|---|---|---|---|"]
    for mode in ("native", "vma"):
        now, then = rows["fork-64m"][mode]["instructions"], base["fork-64m", mode]["instructions"]
        lines.append(f"| {mode} | {number(then)} | {number(now)} | {then / now:.1f} × | {number(linux)} | {linux / now:.0f} × |")
    counts = {"fork-10": 10, "fork-1k": 1000, "fork-60k": 60_000}
    if set(counts) <= set(rows):
        lines += ["", "| fork+exit+wait | " + " | ".join(f"{count:,} regions" for count in counts.values()) + " | a region, of 60 |", "|---|---|---|---|---|"]
        for mode in data["means"]:
            figures = [rows[row].get(mode) for row in counts]
            if None not in figures:
                few, _, many = (figure["instructions"] for figure in figures)
                lines.append(f"| {mode} | " + " | ".join(number(figure["instructions"]) for figure in figures)
                             + f" | {(many - few) / (counts['fork-60k'] - counts['fork-10']):.0f} |")
    return lines
