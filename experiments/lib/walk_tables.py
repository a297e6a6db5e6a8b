"""The counts of page walks as text and CSV."""

import csv
import io

from . import results, walks

# Programs whose rows are too many for a terminal: what they come to is a mean.
_MANY = ("mmlat",)


def model_name(model):
    """As a column's head: leaves of the guest's tables, and under them those of the nested ones."""
    dimensions, guest, nested = (part.replace(" ", "") for part in model)
    return f"2D {guest}/{nested}" if dimensions == "two" else f"1D {guest}"


def terminal(found, titles):
    """`titles`: program → what it is called."""
    if not found:
        return ""
    names = [model_name(model) for model in walks.MODELS]
    head = (f"{'page walks, per operation':<26}{'mode':<8}{'instructions':>14}{'exits':>8}{'L1 misses':>11}{'walks':>10}  "
            + "".join(f"{name:>14}" for name in names) + f"{'modelled':>13}")
    lines = ["", "Page walks, modelled: references to page tables by dimensions and leaf sizes; * is what the mode has.",
             head, "-" * len(head)]
    for (program, row), modes in walks.by_row(found).items():
        if program in _MANY:
            continue
        title = titles.get(row, row)
        for mode, one in modes.items():
            used = one.models[one.used]
            cells = "".join(f"{_number(counts['references']) + ('*' if model == one.used else ' '):>14}"
                            for model, counts in one.models.items())
            cycles = one.modelled(results.EXIT_COSTS[0], walks.REFERENCE_COST)
            lines.append(f"{title:<26}{mode:<8}{_number(one.figure.instructions):>14}{_number(one.figure.exits):>8}"
                         f"{_number(used['first_level_misses']):>11}{_number(used['walks']):>10}  {cells}{_number(cycles):>13}")
            title = ""
    lines += [f"modelled: cycles, one for each instruction, {results.EXIT_COSTS[0]:,} for each exit and {walks.REFERENCE_COST} for "
              "each reference (assumed)."]
    for program in _MANY:
        means = {mode: walks.mean_cycles(found, program, mode, results.EXIT_COSTS[0], walks.REFERENCE_COST)
                 for mode in dict.fromkeys(one.mode for one in found if one.program == program)}
        if means.get("native"):
            lines.append(f"{program}, geometric mean of the modelled cycles over native's: "
                         + ", ".join(f"{mode} {mean / means['native']:.2f}" for mode, mean in means.items() if mean))
    crossed = walks.crossings(found)
    low, high = walks.EXIT_RANGE
    lines.append(f"modes that cross, where an exit costs {low:,} to {high:,} cycles and a reference {walks.REFERENCE_RANGE[0]} to "
                 f"{walks.REFERENCE_RANGE[1]}:" + ("" if crossed else " none"))
    for one in crossed:
        at = f"alike at {one.exit_cost:,} cycles an exit" if one.exit_cost else "only where a reference does not cost"
        lines.append(f"  {titles.get(one.program, one.program):<26}{one.modes[0]}, {one.modes[1]}: {at}"
                     + (f" and {walks.REFERENCE_COST} a reference" if one.exit_cost else f" {walks.REFERENCE_COST} cycles"))
    small = {}
    for one in found:
        small.setdefault(one.mode, []).append(one.small_pages)
    lines.append("pages of programs that cannot lie in leaves of 2 MiB, at least: "
                 + ", ".join(f"{mode} {min(shares):.0%}" for mode, shares in small.items()))
    return "\n".join(lines)


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 3) + 0.0:.3f}".rstrip("0").rstrip(".")


def csv_text(found):
    """One line for each row, mode and model."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("program", "row", "mode", "ops", "instructions", "exits", "accesses", "dimensions", "guest leaf",
                     "nested leaf", "used", "first level misses", "walks", "references", "nested references"))
    for one in found:
        for model, counts in one.models.items():
            writer.writerow((one.program, one.row, one.mode, one.figure.ops, f"{one.figure.instructions:.4f}",
                             f"{one.figure.exits:.4f}", f"{one.accesses:.4f}", *model, int(model == one.used),
                             *(f"{value:.4f}" for value in counts.values())))
    return out.getvalue()
