"""What was aimed at on hypervisors that are not ours, and what is below it: peers.md's and README's lines, from the kept figures."""

import sys

import marked

sys.path.insert(0, str(marked.ROOT / "experiments"))

from lib import peer_tables, results  # noqa: E402

# What KVM's host executes to enter a guest and leave it, whatever the exit was for: papers/peers.md's profiles.
KVM_EXIT = 1100


def _beside_linux(comparison, mode, peer):
    ours, theirs, _, _ = peer_tables.means_there(comparison, mode, peer)
    return ours / theirs


def _judged(value, aim):
    return "met" if value <= aim else "**missed**"


def aims_table(comparison):
    """Each aim, what it is now, and whether that is enough."""
    lines = ["| | aim | now | |", "|---|---|---|---|"]
    for mode, peer, place in peer_tables.PLACES:
        if mode in results.FOREIGN_PEERS:
            value = _beside_linux(comparison, mode, peer)
            lines.append(f"| our guest's ratio on {place} over Linux's there | {results.FOREIGN_RATIO} | {value:.2f} "
                         f"| {_judged(value, results.FOREIGN_RATIO)} |")
    for mode, _, place in peer_tables.PLACES:
        for cost in (0, results.EXIT_COSTS[0]) if mode in results.FOREIGN_PEERS else ():
            value = peer_tables.vma_over(comparison, mode, cost)
            priced = "" if cost == 0 else f", +{cost:,} per exit" + (" (Xen's are not counted, and have no price)" if mode == "xenpv" else "")
            lines.append(f"| vma over our guest on {place}{priced} | 1/3 | {value:.2f} | {_judged(value, results.VMA_OF_FOREIGN)} |")
    more = more_exits(comparison)
    named = "".join(f"; `{row}` {two(ours)} for {two(linux)} (this guest on KVM's {two(theirs)})" for row, ours, linux, theirs in more)
    lines.append(f"| rows in which our shadow takes more exits than KVM's does for Linux | 0 | {len(more)} | {_judged(len(more), 0)}{named} |")
    return lines


def two(value):
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def more_exits(comparison):
    """(row, ours, Linux's, this guest's) of KVM's shadow, where ours takes more; published exits are rounded."""
    found = []
    for row in comparison.peers:
        ours, theirs = (comparison.by_mode.get(mode, {}).get(row["name"]) for mode in ("shadow", "kvm-shadow"))
        linux = row["kvm_shadow_exits"]
        if None not in (ours, theirs, linux) and ours.memory_exits > linux + (0.05 if linux < 20 else 0.5):
            found.append((row["name"], ours.memory_exits, linux, theirs.memory_exits))
    return found


def sentence(comparison):
    """README's: what was aimed at, and that it is missed where it is."""
    beside = [(place, _beside_linux(comparison, mode, peer)) for mode, peer, place in peer_tables.PLACES if mode in results.FOREIGN_PEERS]
    priced = peer_tables.vma_over(comparison, "xenpv", results.EXIT_COSTS[0])
    found = ", ".join(f"{place} {value:.2f}: {_judged(value, results.FOREIGN_RATIO).strip('*')}" for place, value in beside)
    return (f"Aimed at: a ratio of at most 0.8 of Linux's ({found}), and vma at a third of each, with 1,000 an exit too (beside Xen {priced:.2f}: {_judged(priced, results.VMA_OF_FOREIGN).strip('*')}). "
            "[papers/peers.md](papers/peers.md) has the floors.")


def kvm_floor_table(comparison):
    """Row by row: KVM's shadow's ratio; what it would be if an exit cost its entering and leaving alone, and what our own shadow has."""
    lines = ["| ÷ natively | on KVM's shadow | exits | with entering and leaving alone | our shadow | aim |", "|---|---|---|---|---|---|"]
    means = []
    peers = {row["name"]: row for row in comparison.peers}
    for name in comparison.averaged():
        native, theirs, ours = (comparison.by_mode[mode].get(name) for mode in ("native", "kvm-shadow", "shadow"))
        if None in (native, theirs, ours):
            continue
        aim = results.FOREIGN_RATIO * peers[name]["kvm_shadow"] / peers[name]["linux"]
        ratios = (theirs.instructions / native.instructions, 1 + KVM_EXIT * theirs.memory_exits / native.instructions,
                  ours.instructions / native.instructions, aim)
        means.append(ratios)
        lines.append(f"| {peers[name]['title']} | {ratios[0]:.2f} | {two(theirs.memory_exits)} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios[1:]) + " |")
    mean = [results.geometric_mean(column) for column in zip(*means)]
    lines.append(f"| geometric mean | {mean[0]:.2f} | | " + " | ".join(f"{value:.2f}" for value in mean[1:]) + " |")
    return lines
