"""Writes a comparison to a folder: report.html with its plots, results.csv, results.json. All of it or nothing."""

import base64
import dataclasses
import html
import json
import os
import pathlib
import shutil

import machine

from . import curves, flame, peer_tables, picture, shares, tables, walk_tables, walks
from .errors import UserError
from .losses import losses

_MARKER = "results.json"  # a folder that holds it is an earlier report and may be replaced


def check_destination(out, marker=_MARKER):
    """Fails early if `out` is something that a report must not replace. `marker`: what an earlier one left in it."""
    out = pathlib.Path(out)
    if out.is_dir():
        if any(out.iterdir()) and not (out / marker).exists():
            raise UserError(f"--out {out}: the folder holds something else than a report",
                            "name a new folder, or one that holds an earlier report")
    elif out.exists():
        raise UserError(f"--out {out}: not a folder", "name a new folder")
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {parent}: {error.strerror}") from error
    if not os.access(parent, os.W_OK):
        raise UserError(f"--out {out}: {parent} cannot be written")


def write(comparison, out):
    """Everything is written beside `out` first, then takes its place by renaming."""
    try:
        from . import plots  # here, because matplotlib takes a second to load
    except ImportError as error:
        raise UserError(f"the report was not written: {error}", "install Debian's python3-matplotlib") from error

    out = pathlib.Path(out).absolute()
    new = out.with_name(f".{out.name}.new-{os.getpid()}")
    old = out.with_name(f".{out.name}.old-{os.getpid()}")
    try:
        new.mkdir()
        drawn = plots.all_plots(comparison)
        for name, (_, _, png) in drawn.items():
            (new / name).write_bytes(png)
        (new / "results.csv").write_text(tables.csv_text(comparison))
        if comparison.curves:
            (new / "curves.csv").write_text(curves.csv_text(comparison.curves))
        if comparison.walks:
            (new / "walks.csv").write_text(walk_tables.csv_text(comparison.walks))
        if comparison.profiles:
            (new / "profiles.csv").write_text(shares.csv_text(comparison.profiles))
        if comparison.picture is not None:
            (new / "space.svg").write_text(_space_svg(comparison))
            (new / "space.txt").write_text(picture.text(comparison.picture))
        (new / _MARKER).write_text(json.dumps(as_json(comparison), indent=1) + "\n")
        (new / "report.html").write_text(as_html(comparison, drawn))
        if out.exists():
            out.rename(old)
        new.rename(out)
    except OSError as error:
        raise UserError(f"the report was not written to {out}: {error.strerror}") from error
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def as_json(comparison):
    return {
        "machine": machine.command(machine.Boot("MODE", pathlib.Path("KERNEL"), pathlib.Path("MODULE"), "COMMAND LINE",
                                                pathlib.Path("COUNTERS"))),
        "facts": comparison.facts,
        "modes": comparison.modes,
        "rows": {mode: [_figure(figure) for figure in rows.values()] for mode, rows in comparison.by_mode.items()},
        "programs": {name: {mode: _figure(figure) for mode, figure in by_mode.items()} for name, by_mode in comparison.programs.items()},
        "curves": {mode: [_figure(figure) for figure in rows.values()] for mode, rows in comparison.curves.items()},
        "means": {mode: dict(zip(("instructions", "modelled_1000", "modelled_2000"),
                                 tables.mean_ratios(comparison, mode))) for mode in comparison.by_mode},
        "losses_to_shadow": [dataclasses.asdict(loss) for loss in losses(comparison.by_mode, comparison.peers)],
        "walks": walks.as_json(comparison.walks),
        "profiles": shares.as_json(comparison.profiles),
        "misses": [dataclasses.asdict(miss) for miss in comparison.misses],
        "problems": comparison.problems,
        "runs": comparison.runs,
        "peers": {name: dataclasses.asdict(here) for name, here in comparison.by_peer.items()},
        "published": {"about": comparison.about_peers, "script": comparison.peers_script, "programs": comparison.peers_programs,
                      "rows": comparison.peers},
    }


def _figure(figure):
    return dataclasses.asdict(figure) | {"guest_instructions": figure.guest_instructions, "faults": figure.faults,
                                         "modelled_1000": figure.modelled(1000), "modelled_2000": figure.modelled(2000)}


PEERS_NOTE = ("On the same emulated machine, the same static program; hypervisor included. papers/peers.md says how, and what is not "
              "comparable.")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1100px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.7em; margin-bottom: .2em } h2 { margin-top: 2em; font-size: 1.25em }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: 3px 9px; text-align: right; border-bottom: 1px solid #e5e7eb }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 2px solid #9ca3af; position: sticky; top: 0; background: white }
pre { overflow-x: auto; font-size: 12px } img { max-width: 100%; height: auto } .note { color: #4b5563 } .bad { color: #b91c1c }
code { background: #f3f4f6; padding: 1px 4px; overflow-wrap: anywhere } .key { display: flex; gap: 2.4em; flex-wrap: wrap }
.key div b { display: block; font-size: 1.7em } td.mode { text-align: left; font-weight: 600 }
"""


def head(title):
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"


def as_html(comparison, drawn):
    parts = [head("nopte: what each mode costs"), "<h1>One guest image, every way of managing its memory</h1>",
             "<p class=note>Executed instructions of unmodified Linux programs, guest and hypervisor together, on one "
             "emulated machine. Figures repeat exactly. An exit counts as one instruction here; the modelled figures "
             "say what prices of 1,000 and 2,000 cycles would add. <b>nested</b> is a lower bound: two-dimensional "
             "page walks cost nothing on this machine.</p>", key_figures(comparison)]
    if comparison.problems:
        parts.append("<h2 class=bad>Problems</h2><ul>" + "".join(
            f"<li class=bad>{html.escape(problem)}" for problem in comparison.problems) + "</ul>")
    for heading, caption, png in drawn.values():
        data = base64.b64encode(png).decode()
        parts.append(f"<h2>{html.escape(heading)}</h2><p class=note>{html.escape(caption)}</p>"
                     f'<img alt="{html.escape(heading)}" src="data:image/png;base64,{data}">')
    parts += [make(comparison) for make in (_table, _programs, _walks, _losses, _ahead, _xen, _peers, _bars, _profiles, _space, _facts)]
    return "\n".join(parts) + "\n"


def key_figures(comparison):
    found = []
    for mode in comparison.modes:
        mean = comparison.mean_ratio(mode, lambda figure: figure.instructions)
        if mean is not None and mode != "native":
            modelled = tables.mean_ratios(comparison, mode)[1]
            found.append(f'<div><b style="color:{tables.MODE_COLOURS[mode]}">{mean:.2f}×</b>{mode}, geometric mean of '
                         f"instructions over native<br>{modelled:.2f}× with 1,000 cycles per exit</div>")
    return f"<div class=key>{''.join(found)}</div>"


def _table(comparison):
    if not comparison.by_mode:
        return ""
    head = ("operation", "mode", "instructions", "in the hypervisor", "exits", "platform exits", "+1,000 per exit",
            "+2,000 per exit", "× native", "Linux", "KVM shadow", "Xen PV")
    lines = ["<h2>Every row</h2><p class=note>Per operation. The last three columns are figures of Linux on existing "
             "systems for the same operation, as context.</p>",
             "<table><thead><tr>" + "".join(f"<th>{cell}" for cell in head) + "</thead>"]
    for peer in comparison.rows():
        native = comparison.by_mode.get("native", {}).get(peer["name"])
        title = html.escape(peer["title"]) + (" (not averaged)" if peer["control"] else "")
        context = ["" if peer[key] is None else f"{peer[key]:,}" for key in ("linux", "kvm_shadow", "xen_pv")]
        for mode in comparison.modes:
            figure = comparison.by_mode.get(mode, {}).get(peer["name"])
            if figure is None:
                continue
            ratio = f"{figure.instructions / native.instructions:.2f}" if native else ""
            cells = [f"{figure.instructions:,.0f}", f"{figure.hypervisor_instructions:,.0f}",
                     f"{figure.memory_exits:.2f}", f"{figure.platform_exits:.2f}", f"{figure.modelled(1000):,.0f}",
                     f"{figure.modelled(2000):,.0f}", ratio, *context]
            lines.append(f'<tr><td>{title}<td class=mode style="color:{tables.MODE_COLOURS[mode]}">{mode}'
                         + "".join(f"<td>{cell}" for cell in cells))
            title, context = "", ["", "", ""]
    return "\n".join(lines) + "</table>"


def table(heading, note, columns, rows):
    """A table under its heading; nothing without rows."""
    if not rows:
        return ""
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells) for cells in rows)
    return (f"<h2>{html.escape(heading)}</h2><p class=note>{html.escape(note)}</p>"
            f"<table><thead><tr>{''.join(f'<th>{html.escape(cell)}' for cell in columns)}</thead>{body}</table>")


PROGRAMS_NOTE = ("Everything that the program does, its shell included, without the time that it sleeps. × Linux: of what the same files take on "
                 "Debian's Linux by itself on the same emulated machine, where nobody tells sleep from work: it is in both.")


def _programs(comparison):
    return table("Whole programs", PROGRAMS_NOTE, tables.PROGRAM_HEAD, tables.program_rows(comparison))


def _walks(comparison):
    if not comparison.walks:
        return ""
    text = walk_tables.terminal(comparison.walks, comparison.walk_titles)
    return f"<h2>Page walks, modelled</h2><p class=note>Every row is in walks.csv.</p><pre>{html.escape(text)}</pre>"


def _losses(comparison):
    return table("Where shadow takes less", "Per operation; an exit is one instruction here.",
                 tables.LOSS_HEAD, tables.loss_rows(comparison))


def _ahead(comparison):
    return table("Ahead of faults", tables.AHEAD_NOTE, tables.AHEAD_HEAD, tables.ahead_rows(comparison))


def _xen(comparison):
    return table("What Xen's interface adds", tables.xen_note(comparison), tables.XEN_HEAD, tables.xen_rows(comparison))


def _peers(comparison):
    return "".join(table(found.head[0][0].upper() + found.head[0][1:], found.note or PEERS_NOTE, found.head, found.rows)
                   for found in peer_tables.all_tables(comparison))


def _profiles(comparison):
    if not comparison.profiles:
        return ""
    graphs = "".join(f"<details><summary>{html.escape(profile.title)}, mode {profile.mode}</summary>{flame.svg(profile)}</details>"
                     for profile in comparison.profiles)
    return table("Whose instructions they are", shares.NOTE, shares.HEAD, shares.rows(comparison.profiles)) + graphs


def _space_svg(comparison):
    return picture.svg(comparison.picture, next(run["mode"] for run in comparison.runs if run["workload"] == "a picture of a space"))


def _space(comparison):
    if comparison.picture is None:
        return ""
    return ("<h2>An address space: promised, installed, shared</h2><p class=note>A child of mmlat's, which shares tables with its parent "
            "and has begun to write. experiments/boot --picture draws any space at a mark; space.txt says it in words.</p>"
            + _space_svg(comparison))


def _bars(comparison):
    if not comparison.misses:
        return ""
    rows = "".join(f"<tr><td>{miss.row}<td class=mode>{miss.mode}<td>{html.escape(miss.what)}"
                   f"<td style='text-align:left'>{html.escape(miss.reason)}"
                   for miss in comparison.misses)
    return ("<h2>Bars missed</h2><p class=note>What the project asks of each mode, and does not have yet.</p>"
            f"<table><thead><tr><th>row<th>mode<th>measured, and the bar<th>reason</thead>{rows}</table>")


def _facts(comparison):
    rows = "".join(f"<tr><td>{html.escape(name)}<td style='text-align:left'><code>{html.escape(str(value))}</code>"
                   for name, value in comparison.facts.items())
    commands = "".join(f"<li>{run['mode']}, {run['workload']}: status {run['status']}, {run['seconds']} s of wall time"
                       f"<br><code>{html.escape(run['command'])}</code>" for run in comparison.runs)
    return (f"<h2>What was run</h2><table>{rows}</table><ul>{commands}</ul>"
            f"<p class=note>{html.escape(comparison.about_peers)}</p>")
