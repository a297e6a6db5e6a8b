"""The figures that the paper's text names: key → text, and what the text says of them in words."""

import machine

from . import latex, paper_data, peer_tables, results, walk_tables, walks
from .losses import losses

LOW, HIGH = results.EXIT_COSTS
NEAR = 1.05  # "about native's": at most this
FAR = 1.25  # "dearer than native": more than this


def titles(data):
    return {row["name"]: row["title"] for row in data.comparison.peers} | {"script": "busybox script"}


def memory_rows(data):
    """Rows of the means that more than one mode has."""
    return [name for name in data.comparison.averaged() if data.row("native", name) is not None]


def ratios(data, mode, cost=0):
    """Row → modelled cycles over native's instructions, for every row; with no price on exits, instructions alone."""
    native = data.by_mode.get("native", {})
    return {name: figure.modelled(cost) / native[name].instructions for name, figure in data.by_mode.get(mode, {}).items()
            if name in native and native[name].instructions > 0}


def peer_means(data):
    """Peer → geometric mean of its instructions over Linux's, over the rows of the means."""
    found = {}
    names = set(data.comparison.averaged())
    for peer in ("kvm_npt", "kvm_shadow", "xen_pv", "uml"):
        mean = results.geometric_mean(row[peer] / row["linux"] for row in data.comparison.peers
                                      if row["name"] in names and row.get("linux") and row.get(peer))
        if mean is not None:
            found[peer] = mean
    return found


def values(data):
    """Key → what the text prints for it, as LaTeX."""
    found = {"cost/low": latex.number(LOW), "cost/high": latex.number(HIGH), "cost/reference": latex.number(walks.REFERENCE_COST),
             "near": f"{(NEAR - 1) * 100:.0f}", "far": f"{(FAR - 1) * 100:.0f}",
             "size/page": walks.MODELS[0][1], "size/large": walks.MODELS[1][1]}
    for name, title in titles(data).items():
        found[f"title/{name}"] = latex.escape(title)
    native = {"script": data.comparison.script.get("native")} | data.by_mode.get("native", {})
    for mode in data.comparison.modes:
        rows = data.by_mode.get(mode, {}) | ({"script": data.comparison.script[mode]} if mode in data.comparison.script else {})
        for name, figure in rows.items():
            found[f"{name}/{mode}"] = latex.number(figure.instructions)
            found[f"{name}/{mode}/hypervisor"] = latex.number(figure.hypervisor_instructions)
            found[f"{name}/{mode}/exits"] = latex.exits(figure.memory_exits)
            if native.get(name) is not None:
                found[f"{name}/{mode}/ratio"] = latex.ratio(figure.instructions / native[name].instructions)
        for name, key in (("", "instructions"), ("/low", f"modelled_{LOW}"), ("/high", f"modelled_{HIGH}")):
            if data.means.get(mode, {}).get(key) is not None:
                found[f"mean/{mode}{name}"] = latex.ratio(data.means[mode][key])
    found |= _counts(data) | _peers(data) | _walks(data) | _census(data)
    for key, fact in (("qemu", "QEMU"), ("compiler", "compiler"), ("busybox", "busybox"), ("source", "source"), ("memory", "guest memory"),
                      ("own", "hypervisor's own memory")):
        if fact in data.comparison.facts:
            found[f"fact/{key}"] = latex.escape(str(data.comparison.facts[fact]))
    return found


def _counts(data):
    names = memory_rows(data)
    found = {"rows": str(len(data.comparison.rows())), "rows/averaged": str(len(names))}
    here = {name: ratio for name, ratio in ratios(data, "vma").items() if name in names}
    if here:
        worst = max(here, key=here.get)
        found |= {"vma/near": str(sum(ratio <= NEAR for ratio in here.values())),
                  "vma/below": str(sum(ratio < 1 for ratio in here.values())),
                  "vma/worst/title": latex.escape(titles(data)[worst]), "vma/worst": latex.ratio(here[worst])}
        modelled = ratios(data, "vma", LOW)
        worst = max(names, key=lambda name: modelled.get(name, 0))
        found |= {"vma/worst-modelled/title": latex.escape(titles(data)[worst]), "vma/worst-modelled": latex.ratio(modelled[worst])}
    lost = losses(data.by_mode, data.comparison.peers)
    for mode in data.comparison.modes:
        found[f"losses/{mode}"] = str(sum(loss.mode == mode for loss in lost))
    return found


def _peers(data):
    found = {f"peer/{peer}": latex.ratio(mean) for peer, mean in peer_means(data).items()}
    for row in data.comparison.peers:
        if row.get("linux"):
            found[f"{row['name']}/linux"] = latex.number(row["linux"])
    for mode, peer, _ in peer_tables.PLACES:
        if not data.by_mode.get(mode):
            continue
        for key, value in zip(("mean", "linux", "natively", "beside"), peer_tables.means_there(data.comparison, mode, peer)):
            if value is not None:
                found[f"{key}/{mode}"] = latex.ratio(value)
        for key, cost in (("", 0), ("/low", LOW)):
            if (value := peer_tables.vma_over(data.comparison, mode, cost)) is not None:
                found[f"vma-over/{mode}{key}"] = latex.ratio(value)
    prices = results.bounces(data.by_mode, data.comparison.peers)
    found |= {"price/entry": latex.number(prices.entry), "price/switch": latex.number(prices.switch)}
    itself = [row.modelled / row.real for row in results.xen_modelled(data.by_mode, data.comparison.peers) if row.averaged and row.real]
    if itself:
        found["xen/over-itself"] = latex.ratio(results.geometric_mean(itself))
    over = [ours.instructions / theirs.instructions for ours, theirs in _shadows(data)]
    if over:
        found["shadow/over-kvms"] = latex.ratio(results.geometric_mean(over))
    return found


def _shadows(data):
    """Our shadow's figure and KVM's, for each row of the means."""
    pairs = [(data.row("shadow", name), data.row("kvm-shadow", name)) for name in memory_rows(data)]
    return [pair for pair in pairs if None not in pair]


def _walks(data):
    found = {}
    for (program, row), modes in walks.by_row(data.comparison.walks).items():
        if program == "mmlat":
            continue
        for mode, one in modes.items():
            found[f"walk/{row}/{mode}"] = latex.small(one.models[one.used]["references"])
            found[f"walk/{row}/{mode}/model"] = walk_tables.model_name(one.used)
            found[f"walk/{row}/{mode}/modelled"] = latex.small(one.modelled(LOW, walks.REFERENCE_COST))
        for mode in ("native", "nested", "shadow"):
            if mode in modes and "vma" in modes:
                cycles = [modes[name].modelled(LOW, walks.REFERENCE_COST) for name in ("vma", mode)]
                found[f"walk/{row}/vma-over-{mode}"] = latex.ratio(cycles[0] / cycles[1])
    if found:
        found["walk/processor"] = latex.escape(walks.PROCESSOR)
    return found


def _census(data):
    if data.census is None:
        return {}
    sites, operations, published = (data.census[name] for name in ("call_sites", "operations", "published"))
    redirected = sum(sites.get("redirected_natively", {}).values())
    found = {"census/operations": str(operations["memory"] + operations["platform"]),
             "census/operations/memory": str(operations["memory"]), "census/operations/platform": str(operations["platform"]),
             "census/sites": str(sites["memory"] + sites["platform"]), "census/sites/memory": str(sites["memory"]),
             "census/indirect": str(sites["memory"] + sites["platform"] - sites["direct_as_linked"]),
             "census/linux/sites": latex.number(published["call_sites"]),
             "census/linux/operations": latex.number(published["operations_below"])}
    if redirected:
        found["census/redirected"] = str(redirected)
    for key, part, rows in (("growth/core", "all, without the backends", data.census["text"]), ("growth/all", "all", data.census["text"]),
                            ("growth/guest", "guest kernel", data.census["text"]),
                            ("linux/growth", "arch/i386", published["text"])):
        for row in rows:
            if row["part"] == part and row["without"]:
                found[f"census/{key}"] = f"{100 * (row['with'] / row['without'] - 1):.1f}"
    return found


def have(data, pictures):
    """Which parts of the data are there: the text asks \\having{NAME}."""
    comparison = data.comparison
    parts = {"rows": {"native", "shadow", "vma"} <= set(data.by_mode),
             "interfaces": {"native", "kvmpv", "vmi", "lguest", "xen"} <= set(data.by_mode),
             "xen": bool(results.xen_modelled(data.by_mode, comparison.peers)),
             "script": bool(comparison.script), "peers": bool(peer_means(data)), "measured": bool(data.peers_measured),
             "foreign": all(data.by_mode.get(mode) for mode in machine.FOREIGN_MODES),
             "xenpv": bool(data.by_mode.get("xenpv") and data.by_mode.get("xen")),
             "walks": bool(comparison.walks), "census": data.census is not None,
             "scale": all(data.row(mode, "map-60k") for mode in ("native", "vma")),
             "means": "vma" in data.means and data.means["vma"].get("instructions") is not None}
    return {name for name, there in parts.items() if there} | {f"picture/{name}" for name in pictures}


def claims(data):
    """(what the text says in words, whether these figures say so), for what is there."""
    means = {mode: found["instructions"] for mode, found in data.means.items() if found.get("instructions") is not None}
    modelled = {mode: found[f"modelled_{HIGH}"] for mode, found in data.means.items() if found.get(f"modelled_{HIGH}") is not None}
    found = []

    def say(text, names, true):
        if all(name in means for name in names):
            found.append((text, true()))

    say("in the mean vma takes fewer instructions than every other mode that keeps a second set of tables",
        ("vma", "shadow"), lambda: all(means["vma"] < means[mode] for mode in means if mode not in ("native", "nested", "vma", "kvm-nested")))
    say("nested is the lower bound of modes under a hypervisor", ("nested", "vma"), lambda: means["nested"] <= means["vma"])
    say("with a price on exits vma stays below all of these", ("vma", "shadow"),
        lambda: all(modelled["vma"] < modelled[mode] for mode in means if mode not in ("native", "nested", "vma", "kvm-nested")))
    say("with a price on exits vma is dearer than nested", ("vma", "nested"), lambda: modelled["vma"] > modelled["nested"])
    pairs = [(data.row("vma", name), data.row("shadow", name)) for name in memory_rows(data)]
    found.append(("vma takes no more exits than shadow in any row of the means",
                  all(vma.memory_exits <= shadow.memory_exits + 0.01 for vma, shadow in pairs if vma and shadow)))
    if shadows := _shadows(data):
        found.append(("our shadow takes no more instructions than KVM's on this image, in any row of the means",
                      all(ours.instructions <= theirs.instructions for ours, theirs in shadows)))
    itself = [row for row in results.xen_modelled(data.by_mode, data.comparison.peers) if row.real is not None]
    if itself:
        found.append(("mode xen, modelled, takes no more than Xen itself in any row",
                      all(row.modelled <= row.real * 1.001 for row in itself)))
    for mode, peer, place in peer_tables.PLACES:
        beside = peer_tables.means_there(data.comparison, mode, peer)[3]
        if beside is not None:
            found.append((f"in the mean our guest takes less than Linux on {place}", beside < 1))
    lost = [loss.row for loss in losses(data.by_mode, data.comparison.peers) if loss.mode == "vma"]
    if {"vma", "shadow"} <= set(data.by_mode):
        found.append(("vma takes more instructions than shadow only for calls about memory that nobody touched, and forks of many regions",
                      all(row.split("-")[0] in ("map", "protect", "unmap") or row in ("fork-1k", "fork-60k") for row in lost)))
    walked = walks.by_row(data.comparison.walks)
    prices = [(exit_cost, reference) for exit_cost in walks.EXIT_RANGE for reference in walks.REFERENCE_RANGE]
    for (program, row), modes in walked.items():
        if program.startswith("chase") and {"vma", "nested", "native"} <= set(modes):
            cycles = [[modes[mode].modelled(*price) for mode in ("vma", "nested", "native")] for price in prices]
            dear, cheap = (modes["nested"].modelled(0, cost) for cost in (max(walks.REFERENCE_RANGE), min(walks.REFERENCE_RANGE)))
            walks_there = dear > cheap * 1.01  # not where its leaves are large and all are known
            found.append((f"where walks are the work ({row}) vma takes what native takes, at most what nested does, less if that walks, "
                          "at every price", all(vma <= native * 1.01 and (vma < nested if walks_there else vma <= nested * 1.01)
                                                for vma, nested, native in cycles)))
        if program == "script" and {"vma", "nested"} <= set(modes):
            found.append(("in the script nested is cheaper than vma at every price",
                          all(modes["nested"].modelled(*price) < modes["vma"].modelled(*price) for price in prices)))
    return found


def tex(data, pictures):
    """The file that defines all that the text names."""
    lines = ["% Written by experiments/paper."]
    lines += [rf"\setfigure{{{key}}}{{{text}}}" for key, text in values(data).items()]
    lines += [rf"\sethave{{{name}}}" for name in sorted(have(data, pictures))]
    lines += [rf"\setcommand{{{name}}}{{{latex.typed(command)}}}" for name, command in paper_data.COMMANDS.items()]
    return "\n".join(lines) + "\n"
