"""The paper's tables, each a tabular in a file of its own. A table whose data is not there is not made."""

import machine

from . import latex, paper_data, paper_values, peer_tables, results, walks
from .losses import losses

LOW, HIGH = results.EXIT_COSTS
# A table of one column shows these: one of each kind of operation.
ROWS = ("map-unmap", "map-touch-unmap-kept", "anon-touch", "populate", "protect-page", "protect-mib", "segv-barrier", "fork-small", "fork-64m",
        "cow-child", "fork-exec", "shared-read", "pipe-pingpong", "sparse-touch", "dontneed", "mremap-move")
_SCALES = ("10", "1k", "60k")


def all_tables(data):
    """Name → its tabular."""
    there = paper_values.have(data, ())
    makers = {"rows": _rows, "means": _means, "interfaces": _interfaces, "xen": _xen, "script": _script, "scale": _scale, "losses": _losses,
              "lost": _lost, "peers": _peers, "foreign": _foreign, "itself": _itself, "beside": _beside, "census": _census,
              "walks": _walks, "facts": _facts, "commands": _commands}
    needs = {"itself": "xenpv", "beside": "foreign", "losses": "rows", "lost": "rows", "facts": None, "commands": None}
    return {name: make(data) for name, make in makers.items() if needs.get(name, name) in there | {None}}


def _named(data, names=ROWS):
    titles = paper_values.titles(data)
    return [(name, latex.escape(titles[name])) for name in names if data.row("native", name) is not None]


def _rows(data):
    head = ["operation", "native", "shadow", "exits", "vma", "hypervisor's", "exits", r"vma $\div$ native", "Linux"]
    rows = []
    for row in data.comparison.rows():
        figures = [data.row(mode, row["name"]) for mode in ("native", "shadow", "vma")]
        if None in figures or row["name"].endswith(tuple(f"-{scale}" for scale in _SCALES)):  # these have a table of their own
            continue
        native, shadow, vma = figures
        if row["own"] and r"\midrule" not in rows:
            rows.append(r"\midrule")
        rows.append([latex.escape(row["title"]), latex.number(native.instructions), latex.number(shadow.instructions),
                     latex.exits(shadow.memory_exits), latex.number(vma.instructions), latex.number(vma.hypervisor_instructions),
                     latex.exits(vma.memory_exits), latex.ratio(vma.instructions / native.instructions),
                     "" if row["linux"] is None else latex.number(row["linux"])])
    return latex.table(head, rows)


def _means(data):
    head = ["mode", "instructions", f"+{latex.number(LOW)} an exit", f"+{latex.number(HIGH)} an exit"]
    # Nobody counts how often Xen is entered.
    rows = [[mode, latex.ratio(found["instructions"]),
             *("--" if mode == machine.XEN_PV else latex.ratio(found[name]) for name in (f"modelled_{LOW}", f"modelled_{HIGH}"))]
            for mode, found in data.means.items() if found.get("instructions") is not None]
    return latex.table(head, rows)


def _interfaces(data):
    modes = ("shadow", "kvmpv", "vmi", "lguest", "xen")
    head = ["operation", "native", *(cell for mode in modes for cell in (mode, "exits"))]
    rows = []
    for name, title in _named(data):
        figures = [data.row(mode, name) for mode in modes]
        if None not in figures:
            rows.append([title, latex.number(data.row("native", name).instructions),
                         *(cell for figure in figures for cell in (latex.number(figure.instructions), latex.exits(figure.memory_exits)))])
    return latex.table(head, rows)


def _xen(data):
    head = ["operation", "adds", "modelled", "Xen PV adds"]
    rows = [[latex.escape(row.title), latex.number(row.ours), latex.number(row.added), latex.number(row.published)]
            for row in results.xen_modelled(data.by_mode, data.comparison.peers) if row.row in ROWS]
    return latex.table(head, rows)


def _script(data):
    head = ["mode", "instructions", "hypervisor's", "exits", r"$\div$ native"]
    native = data.comparison.script.get("native")
    rows = [[mode, latex.number(figure.instructions),
             "--" if mode in ("native", *machine.FOREIGN_MODES) else latex.number(figure.hypervisor_instructions),
             latex.exits(round(figure.memory_exits)), latex.ratio(figure.instructions / native.instructions) if native else "--"]
            for mode, figure in data.comparison.script.items()]
    return latex.table(head, rows)


def _scale(data):
    titles = paper_values.titles(data)
    head = ["one page, of regions", *(latex.escape(titles[f"map-{scale}"].split(", ")[1].split()[0]) for scale in _SCALES) , "exits"]
    rows = []
    for call in ("map", "protect", "unmap", "fault"):
        for mode in ("native", "shadow", "vma"):
            figures = [data.row(mode, f"{call}-{scale}") for scale in _SCALES]
            if None not in figures:
                title = latex.escape(titles[f"{call}-10"].split(" of a page")[0])
                rows.append([f"{title}, {mode}", *(latex.number(figure.instructions) for figure in figures),
                             latex.exits(figures[-1].memory_exits)])
    return latex.table(head, rows)


def _losses(data):
    """Where vma is dearer than native by more than FAR, the worst first."""
    head = ["operation", "native", "vma", "exits", r"$\div$", f"+{latex.number(LOW)}"]
    titles = paper_values.titles(data)
    plain, modelled = (paper_values.ratios(data, "vma", cost) for cost in (0, LOW))
    rows = [[latex.escape(titles[name]), latex.number(data.row("native", name).instructions), latex.number(data.row("vma", name).instructions),
             latex.exits(data.row("vma", name).memory_exits), latex.ratio(ratio), latex.ratio(modelled[name])]
            for name, ratio in sorted(plain.items(), key=lambda each: -each[1]) if ratio > paper_values.FAR]
    return latex.table(head, rows)


def _lost(data):
    """Rows that a mode loses to shadow: how many, the worst, and why."""
    found = losses(data.by_mode, data.comparison.peers)
    rows = []
    for mode in data.comparison.modes:
        here = [loss for loss in found if loss.mode == mode]
        if not here:
            continue
        worst = max(here, key=lambda loss: loss.ratio)
        rows.append([mode, str(len(here)), latex.escape(worst.title), latex.ratio(worst.ratio), latex.escape(worst.reason)])
    return latex.table(["mode", "rows", "the worst", r"$\div$ shadow", "why"], rows, columns=r"lr>{\raggedright\arraybackslash}p{0.22\columnwidth}r>{\raggedright\arraybackslash}p{0.4\columnwidth}")


# A peer of peers.json, and what it is called; our modes stand beside them.
_PEERS = (("kvm_npt", "KVM nested"), ("kvm_shadow", "KVM shadow"), ("xen_pv", "Xen PV"), ("uml", "user-mode"))
_BESIDE = ("nested", "shadow", "xen", "vma")


def _peers(data):
    published = {row["name"]: row for row in data.comparison.peers}
    means = paper_values.peer_means(data)
    peers = [(key, title) for key, title in _PEERS if key in means]
    modes = [mode for mode in _BESIDE if mode in data.by_mode]
    head = ["", *(title for _, title in peers), *modes]
    rows = []
    for name, title in _named(data):
        row = published[name]
        if row.get("linux"):
            over = [latex.ratio(row[key] / row["linux"]) if row.get(key) else "--" for key, _ in peers]
            rows.append([title, *over, *(latex.ratio(paper_values.ratios(data, mode)[name]) for mode in modes)])
    rows += [r"\midrule", ["geometric mean, all rows", *(latex.ratio(means[key]) for key, _ in peers),
                           *(latex.ratio(data.means[mode]["instructions"]) for mode in modes)]]
    columns = "l" + "r" * len(peers) + "@{\\qquad}" + "r" * len(modes)
    span = [rf" & \multicolumn{{{len(peers)}}}{{c}}{{Linux there $\div$ Linux}} & \multicolumn{{{len(modes)}}}{{c}}{{mode $\div$ native}} \\"]
    return latex.table(head, rows, columns).replace("\\toprule\n", "\\toprule\n" + span[0] + "\n", 1)


def _places(data):
    return [place for place in peer_tables.PLACES if data.by_mode.get(place[0]) and data.by_mode.get("native")]


def _foreign(data):
    """Our image on hypervisors that are not ours over native, Linux there over Linux, and ours over Linux there."""
    places = _places(data)
    by_place = [{row.row: row for row in peer_tables.there(data.comparison, mode, peer)} for mode, peer, _ in places]
    head = ["", *["ours", "Linux's", r"ours $\div$ Linux"] * len(places)]

    def cell(value):
        return "--" if value is None else latex.ratio(value)

    rows = [[title, *(cell(value) for found in by_place if name in found
                      for value in (found[name].ours, found[name].theirs, found[name].beside))]
            for name, title in _named(data, (*ROWS, "script")) if all(name in found for found in by_place)]
    means = [peer_tables.means_there(data.comparison, mode, peer) for mode, peer, _ in places]
    rows += [r"\midrule", ["geometric mean, all rows", *(cell(value) for ours, theirs, _, beside in means for value in (ours, theirs, beside))]]
    span = "".join(rf" & \multicolumn{{3}}{{c}}{{{latex.escape(place)} (\textsf{{{mode}}})}}" for mode, _, place in places) + r" \\"
    return latex.table(head, rows, "l" + "rrr" * len(places)).replace("\\toprule\n", "\\toprule\n" + span + "\n", 1)


def _itself(data):
    """Mode xen, modelled, beside Xen itself."""
    head = ["operation", "native", "xen", "modelled", "Xen itself", r"$\div$"]
    rows = [[latex.escape(row.title), *(latex.number(value) for value in (row.native, row.here, row.modelled, row.real)),
             latex.ratio(row.modelled / row.real)]
            for row in results.xen_modelled(data.by_mode, data.comparison.peers) if row.row in ("getpid", *ROWS) and row.real is not None]
    return latex.table(head, rows)


def _beside(data):
    """vma's cycles over those of the same image elsewhere."""
    head = ["vma over", "instructions", f"+{latex.number(LOW)} an exit", f"+{latex.number(HIGH)} an exit"]
    rows = []
    for mode in (*(place[0] for place in _places(data)), "shadow", "xen"):
        found = [peer_tables.vma_over(data.comparison, mode, cost) for cost in (0, LOW, HIGH)]
        if None not in found:
            rows.append([rf"\textsf{{{mode}}}", *map(latex.ratio, found)])
    return latex.table(head, rows)


def _census(data):
    found, published = data.census, data.census["published"]

    def growth(row):
        return f"{100 * (row['with'] / row['without'] - 1):+.1f}\\%".replace("-", "$-$") if row["without"] else "new"

    rows = [[latex.escape(row["part"]), latex.number(row["with"]), latex.number(row["without"]), growth(row)] for row in found["text"]]
    rows.append(r"\midrule")
    rows += [[latex.escape(f"Linux, i386: {row['part']}"), latex.number(row["with"]), latex.number(row["without"]), growth(row)]
             for row in published["text"]]
    return latex.table(["bytes of text", "with", "without", "growth"], rows)


def _walks(data):
    by_row = {row: modes for (program, row), modes in walks.by_row(data.comparison.walks).items() if program != "mmlat"}
    modes = [mode for mode in data.comparison.modes if all(mode in found for found in by_row.values())]
    titles = paper_data.WALK_TITLES
    names = [name for name in titles if name in by_row] + [name for name in by_row if name not in titles]
    head = ["mode", *(cell for name in names for cell in (latex.escape(titles.get(name, name)), "cycles"))]
    rows = [[mode, *(cell for name in names for cell in (latex.small(by_row[name][mode].models[by_row[name][mode].used]["references"]),
                                                         latex.small(by_row[name][mode].modelled(LOW, walks.REFERENCE_COST))))]
            for mode in modes]
    return latex.table(head, rows)


def _facts(data):
    facts = data.comparison.facts
    rows = [[latex.escape(name), latex.escape(str(value))] for name, value in facts.items() if "SHA" not in name]
    rows += [[latex.escape(name), latex.typed(str(value)[:16])] for name, value in facts.items() if "SHA" in name]
    if data.walk_facts:
        rows.append(["of the page walks", latex.escape(f"source {data.walk_facts.get('source', '?')}, {data.walk_facts.get('guest memory', '?')}")])
    if data.census and "about" in data.census:
        rows.append(["of the census", latex.escape(f"source {data.census['about'].get('source', '?')}")])
    return latex.table(["of the comparison", ""], rows, columns=r">{\raggedright\arraybackslash}p{0.3\columnwidth}>{\raggedright\arraybackslash}p{0.62\columnwidth}")


def _commands(_data):
    what = {"compare": "means, rows, interfaces, script, regions, losses", "peers": "this image and Linux on other hypervisors",
            "walks": "page walks", "census": "the census", "paper": "this text, from their results"}
    return latex.table(["makes", "command"], [[what[name], latex.typed(command)] for name, command in paper_data.COMMANDS.items()],
                       columns=r">{\raggedright\arraybackslash}p{0.3\columnwidth}>{\raggedright\arraybackslash}p{0.62\columnwidth}")
