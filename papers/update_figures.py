#!/usr/bin/python3
"""Puts a comparison's figures into README and papers: papers/update_figures.py [DIR | --check]

DIR is what `experiments/compare --modes all --peers --out DIR` wrote: papers/figures keeps its figures and pictures. What stands
between the pages' marks is made from papers/figures/compare.json and experiments/peers.json, which that run wrote as well: one run
stands behind all of them.
Page walks are kept apart, in walks.json: a DIR of `--walks --large --workload none` changes these alone.
With --check nothing is written; status 1 says that a page differs.
"""

import json
import pathlib
import shutil
import sys
import types

import floor_tables
import marked
import peer_aims

sys.path.insert(0, str(marked.ROOT / "experiments"))

import machine  # noqa: E402
from lib import comparison, paper_data, peer_tables, peers, results, tables, walk_tables, walks  # noqa: E402

SCRIPT = pathlib.Path(__file__).name
FIGURES = marked.ROOT / "papers" / "figures"
KEPT = FIGURES / "compare.json"
KEPT_WALKS = FIGURES / "walks.json"
WALK_PICTURES = ("walks.png", "sensitivity.png")
PICTURES = ("ratios.png", "grid.png", "exits.png", "means.png", "peers.png", "peer-vma.png", "peer-reasons.png", "peer-xen.png")

# Whose exits are told apart by reason.
REASON_MODES = ("shadow", "kvm-shadow")
INTERFACES = ("kvmpv", "vmi", "lguest", "xen")  # what the translation layer feeds, beside shadow
# What an interface's page shows: the rows that tell it from the trapping shadow.
ROWS = ("map-touch-unmap-bare", "anon-touch", "anon-unmap", "protect-page", "protect-mib", "fork-small", "fork-64m", "fork-exec",
        "cow-parent", "pipe-pingpong", "ring-hop", "sparse-touch", "sparse-unmap", "dontneed", "mremap-move", "script")
PAGES = {"kvmpv": ("shadow", "kvmpv"), "vmi": ("shadow", "vmi", "kvmpv"), "lguest": ("shadow", "lguest")}


def kept(found):
    """What papers/figures keeps of a results.json."""
    def figure(row):
        found = {name: round(row[name], 4) for name in ("instructions", "hypervisor_instructions", "memory_exits", "platform_exits", "faults")}
        if row["mode"] in REASON_MODES:
            found["reasons"] = {name: round(row["counters"][name] / row["ops"], 4) for name in peer_tables.REASONS if row["counters"].get(name)}
        return found

    rows = {row["name"]: row["title"] for row in found["published"]["rows"]}
    measured = {name: {mode: {row["row"]: row for row in found["rows"][mode]}.get(name) for mode in found["modes"]}
                for name in rows}
    large = {row["name"] for row in found["published"]["rows"] if row.get("large")}
    measured = {name: modes for name, modes in measured.items() if any(modes.values())}
    missing = [f"{mode}: {name}" for name, modes in measured.items() for mode, row in modes.items()
               if row is None and name not in large]
    missing += [f"mode {mode}" for mode in machine.ALL_MODES if mode not in found["modes"] or mode not in found["programs"].get("script", {})]
    missing += [f"peer {peer}" for peer in peers.NAMES if peer not in found.get("peers", {})]
    if found["published"]["rows"] != json.loads(comparison.PEERS.read_text())["rows"]:
        missing.append("the figures of experiments/peers.json, which another run has written since")
    if missing:
        return None, missing
    table = [{"row": name, "title": rows[name], "modes": {mode: figure(row) for mode, row in modes.items()}}
             for name, modes in measured.items()]
    table.append({"row": "script", "title": "busybox script",
                  "modes": {mode: figure(found["programs"]["script"][mode]) for mode in found["modes"]}})
    return {"about": found["facts"], "means": found["means"], "rows": table}, []


def number(value):
    return f"{value:,.0f}"


def exits(value):
    return "0" if value < 0.005 else f"{value:,.2f}".rstrip("0").rstrip(".")


def row_table(rows, modes, titles=("operation", "native")):
    """Instructions natively, and instructions and exits in each of the modes."""
    lines = ["| " + " | ".join((*titles, *(f"{mode} | exits" for mode in modes))) + " |",
             "|---|---|" + "---|---|" * len(modes)]
    for row in rows:
        cells = [number(row["modes"]["native"]["instructions"])]
        for mode in modes:
            figure = row["modes"][mode]
            cells += [number(figure["instructions"]), exits(figure["memory_exits"])]
        lines.append(f"| {row['title']} | " + " | ".join(cells) + " |")
    return lines


def mean_table(means, modes):
    lines = ["| geometric mean of the ratios to native | instructions | modelled, +1,000 per exit | modelled, +2,000 per exit |",
             "|---|---|---|---|"]
    for mode in modes:
        values = (means[mode][name] for name in ("instructions", "modelled_1000", "modelled_2000"))
        lines.append("| " + mode + " | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    return lines


def aim_table(data, aims):
    """What the fast paths are for: before them, now, and what is aimed at."""
    rows = {row["row"]: row for row in data["rows"]}
    lines = ["| | native, before | now | aim | vma, before | exits | now | exits | aim | exits |", "|---|---|---|---|---|---|---|---|---|---|"]
    for each in aims:
        native, vma = (rows[each["row"]]["modes"][mode] for mode in ("native", "vma"))
        native_aim, vma_aim, exits_aim = each["aim"]
        before = ["–"] * 3  # there was no such thing
        if each["before"] is not None:
            before = [number(each["before"][0]), number(each["before"][1]), exits(each["before"][2])]
        cells = [before[0], number(native["instructions"]), number(native_aim), before[1], before[2],
                 number(vma["instructions"]), exits(vma["memory_exits"]), number(vma_aim), exits(exits_aim)]
        lines.append(f"| {rows[each['row']]['title']} | " + " | ".join(cells) + " |")
    return lines


def readme(data, peers, aims):
    lines = ["| executed instructions per operation | native | shadow | exits | vma | of them hypervisor | exits | vma ÷ native "
             "| Linux natively |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in data["rows"]:
        native, shadow, vma = (row["modes"][name] for name in ("native", "shadow", "vma"))
        linux = peers.get(row["row"], {}).get("linux")
        linux = number(linux) if linux is not None else ""
        lines.append(f"| {row['title']} | {number(native['instructions'])} | {number(shadow['instructions'])} "
                     f"| {exits(shadow['memory_exits'])} | {number(vma['instructions'])} "
                     f"| {number(vma['hypervisor_instructions'])} | {exits(vma['memory_exits'])} "
                     f"| {vma['instructions'] / native['instructions']:.2f} | {linux} |")
    lines += ["", "The translation layer on other hypervisors' interfaces, instructions and exits per operation, the same run:", ""]
    lines += row_table(data["rows"], ("shadow", *INTERFACES), ("", "native"))
    lines += ["", *mean_table(data["means"], machine.MODES)]
    lines += ["", "For vma " + ", ".join(f"{aim:.2f}" for aim in aims["means"]["aim"]) + " were aimed at: missed, by rows of few instructions with "
              "two or three exits ([papers/floors.md](papers/floors.md))."]
    lines += ["", "The fast paths: instructions before them, now, and what they aim at ([papers/floors.md](papers/floors.md): what is "
              "below those that miss it).", "", *aim_table(data, aims["rows"])]
    return lines + ["", f"Counted by {data['about']['QEMU']}; images by {data['about']['compiler']}."]


def told_page(data, modes):
    rows = {row["row"]: row for row in data["rows"]}
    return row_table([rows[name] for name in ROWS], modes) + [""] + mean_table(data["means"], modes)


def xen_page(data, kept_comparison):
    by_mode = {mode: {row["row"]: types.SimpleNamespace(**row["modes"][mode]) for row in data["rows"]} for mode in ("native", "xen")}
    lines = ["| operation | native | xen | exits | added | modelled | Xen PV adds to Linux |", "|---|---|---|---|---|---|---|"]
    for row in results.xen_modelled(kept_comparison.by_mode, kept_comparison.peers):
        native, xen = by_mode["native"][row.row], by_mode["xen"][row.row]
        lines.append(f"| {row.title} | {number(native.instructions)} | {number(xen.instructions)} | {exits(xen.memory_exits)} "
                     f"| {number(row.ours)} | {number(row.added)} | {number(row.published)} |")
    return lines + ["", tables.xen_note(kept_comparison)]


def beside(kept_comparison):
    """README's part on hypervisors that are not ours: the means."""
    return [*peer_tables.markdown(peer_tables.summary_table(kept_comparison)), "", peer_aims.sentence(kept_comparison)]


def peers_page(kept_comparison):
    """All tables of them, each below its heading."""
    lines = []
    for table in (*peer_tables.all_tables(kept_comparison), peer_tables.kept_peer_table(kept_comparison)):
        heading = table.head[0]
        table.head = ("", *table.head[1:])
        lines += ["" if lines else None, f"### {heading[0].upper()}{heading[1:]}", "", *peer_tables.markdown(table)]
    return [line for line in lines if line is not None]


def floors_page(data, kept_comparison, aims, base, reasons):
    """Part → its lines."""
    return {"floors": floor_tables.floor_table(data, aims),
            "means": floor_tables.mean_lines(kept_comparison, aims, results.geometric_mean),
            "forks": floor_tables.fork_lines(data, base, kept_comparison.peers),
            "slower": floor_tables.slower_table(data, base, reasons)}


def kept_walks(found):
    """What papers/figures keeps of a results.json's page walks: each program that has one row, in all modes; or what lacks."""
    rows = [row for row in found["walks"] if row["program"] != "mmlat"]
    programs = list(dict.fromkeys(row["program"] for row in rows))
    have = {(row["program"], row["mode"]) for row in rows}
    missing = [f"{mode}: {program}" for program in programs for mode in machine.MODES if (program, mode) not in have]
    table = [{"program": row["program"], "mode": row["mode"], "instructions": round(row["instructions"], 4),
              "exits": round(row["exits"], 4), "used": row["used"],
              "references": [round(model["references"], 4) for model in row["models"]],
              "walks": [round(model["walks"], 4) for model in row["models"]]} for row in rows]
    return {"about": found["facts"], "rows": table}, missing


WALK_TITLES = {"chase-64m": "chase over 64 MiB, a step", "chase-1g": "chase over 1 GiB, a step", "script": "busybox script"}


def small(value):
    return number(value) if value >= 1000 else f"{round(value, 2) + 0.0:.2f}"


def walk_page(data):
    names = [walk_tables.model_name(model) for model in walks.MODELS]
    used = [" ".join(filter(None, model)) for model in walks.MODELS]
    lines = ["| references of page walks | mode | instructions | exits | " + " | ".join(names) + " | modelled |",
             "|---|---|---|---|" + "---|" * (len(names) + 1)]
    program = None
    for row in data["rows"]:
        has = used.index(row["used"])
        title = WALK_TITLES[row["program"]] if row["program"] != program else ""
        program = row["program"]
        cells = [f"**{small(value)}**" if index == has else small(value) for index, value in enumerate(row["references"])]
        cycles = results.modelled(row["instructions"], row["exits"], results.EXIT_COSTS[0])
        cycles += walks.REFERENCE_COST * row["references"][has]
        lines.append(f"| {title} | {row['mode']} | {small(row['instructions'])} | {exits(row['exits'])} | " + " | ".join(cells)
                     + f" | {small(cycles)} |")
    return lines + ["", f"Bold: what the mode has. Modelled: cycles, one for each instruction, {results.EXIT_COSTS[0]:,} for each exit, "
                    f"{walks.REFERENCE_COST} for each reference. {data['about']['QEMU']}."]


def write(data, check):
    """Every page from the kept figures. True: all are as they should."""
    kept_comparison = paper_data.kept()
    by_name = {row["name"]: row for row in kept_comparison.peers}
    aims = json.loads((FIGURES / "aims.json").read_text())
    base, reasons = floor_tables.before(), floor_tables.reasons()
    parts = [(marked.ROOT / "README.md", "figures", readme(data, by_name, aims)), (marked.ROOT / "README.md", "peers", beside(kept_comparison))]
    for mode, modes in PAGES.items():
        parts.append((marked.ROOT / "papers" / f"interface-{mode}.md", "figures", told_page(data, modes)))
    parts.append((marked.ROOT / "papers" / "interface-xen.md", "figures", xen_page(data, kept_comparison)))
    parts.append((marked.ROOT / "papers" / "peers.md", "figures", peers_page(kept_comparison)))
    parts.append((marked.ROOT / "papers" / "peers.md", "aims", peer_aims.aims_table(kept_comparison)))
    parts.append((marked.ROOT / "papers" / "peers.md", "kvm floor", peer_aims.kvm_floor_table(kept_comparison)))
    parts += [(marked.ROOT / "papers" / "floors.md", name, lines)
              for name, lines in floors_page(data, kept_comparison, aims, base, reasons).items()]
    parts.append((marked.ROOT / "papers" / "walks.md", "figures", walk_page(json.loads(KEPT_WALKS.read_text()))))
    done = [marked.put(path, name, SCRIPT, lines, check) for path, name, lines in parts]
    unexplained = floor_tables.problems(data, base, reasons)
    for problem in unexplained:
        print(f"error: {problem}", file=sys.stderr)
    return all(done) and not unexplained


def take(folder):
    """Keeps the figures and pictures of a comparison. False: it is not one of everything."""
    if not (folder / "results.json").exists():
        print(f"error: {folder} holds no results.json: run experiments/compare --out {folder} first", file=sys.stderr)
        return False
    found = json.loads((folder / "results.json").read_text())
    if found.get("walks"):
        data, missing = kept_walks(found)
        if missing:
            print(f"error: {folder} lacks {', '.join(missing)}: run experiments/compare --walks in all modes", file=sys.stderr)
            return False
        FIGURES.mkdir(exist_ok=True)
        KEPT_WALKS.write_text(marked.json_text(data))
        for name in WALK_PICTURES:
            shutil.copyfile(folder / name, FIGURES / name)
        if not any(found["rows"].values()):
            return True
    data, missing = kept(found)
    if data is None:
        print(f"error: {folder} lacks {', '.join(missing)}: run experiments/compare --modes all --peers --out {folder}",
              file=sys.stderr)
        return False
    FIGURES.mkdir(exist_ok=True)
    KEPT.write_text(marked.json_text(data))
    for name in PICTURES:
        shutil.copyfile(folder / name, FIGURES / name)
    return True


if __name__ == "__main__":
    sys.exit(marked.main(__doc__, KEPT, take, write))
