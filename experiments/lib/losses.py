"""Where a mode loses to the trapping shadow, and why: rows that take more executed instructions than mode shadow does."""

import dataclasses

import machine

_TABLES_GO = "each page is a leaf table that goes, told and emptied by itself; shadow gives the table above up at once"
_BY_CALLS = "the engine asks whether entries are told, and does by calls what shadow's guest has inline"
_TOLD = "the fault's entry is told; shadow's guest writes it to a table that is out of sync, without an exit"
_RANGE = {row: "each entry is told; shadow's guest writes the leaf table unseen, which is looked at once"
          for row in ("protect-mib", "protect-none")}
_RING = {row: "256 calls fill the ring four times, each is looked up from its root; shadow looks once at the table"
         for row in ("protect-mib", "protect-none")}
_UNMAPS = {f"unmap-{count}": _BY_CALLS for count in ("10", "1k", "60k")}
_SMALL = "entries of 4 KiB are told one by one; shadow's guest has leaves of 2 MiB"
_CHECKED = "every entry is checked and counted against the frame that it names"
_VALIDATED = "a table that comes or goes is validated or counted out entry by entry"
# By mode, row; None: any other row.
_REASONS = {
    "vma": {"map-unmap": "two calls for memory that is never touched: shadow has nothing to do",
            **{f"{call}-{count}": "a call for memory that nobody touched: shadow has nothing to do"
               for call in ("map", "protect", "unmap") for count in ("10", "1k", "60k")},
            **{f"fork-{count}": "the list of regions is copied twice, in the guest and in the hypervisor, and goes twice" for count in ("1k", "60k")}},
    "kvmpv": _UNMAPS | _RANGE | {"map-unmap": _BY_CALLS, "populate": _SMALL, "sparse-unmap": _TABLES_GO, "dense-64m": _SMALL, "cow-child": _TOLD},
    "vmi": _UNMAPS | _RANGE | {"protect-page": _TOLD, "segv-barrier": _TOLD, "map-unmap": _BY_CALLS, "populate": _SMALL, "sparse-unmap": _TABLES_GO, "dense-64m": _SMALL, "cow-child": _TOLD},
    "lguest": _UNMAPS | _RING | {"map-unmap": _BY_CALLS, "populate": _SMALL, "sparse-unmap": _TABLES_GO, "dense-64m": _SMALL,
               "cow-parent": "rights that come back for a page's neighbours are told one by one",
               "fork-64m": "a table has one root: each page is copied into one of the clone's, where shadow's guest links 32 tables",
               "fork-60k": "a table has one root: each of the pages that make its tables is copied into one of the clone's",
               "mremap-move": "a table cannot be moved: every leaf is told as gone"},
    "xen": {"map-unmap": "the sink looks whether calls wait before it reads the tables",
            "map-touch-unmap-bare": _VALIDATED, "fork-small": _VALIDATED, "fork-64m": _VALIDATED, "fork-exec": _VALIDATED,
            "sparse-touch": _VALIDATED, "sparse-unmap": _VALIDATED, None: _CHECKED},
}
# More than this is a loss; below it the compiler's layout of one more instruction decides.
_NOTHING = 1.001


@dataclasses.dataclass
class Loss:
    """Per operation: instructions and memory exits, those of shadow, and why it is so, where that is known."""

    mode: str
    row: str
    title: str
    instructions: float
    shadow: float
    exits: float
    shadow_exits: float
    reason: str

    @property
    def ratio(self):
        return self.instructions / self.shadow


def losses(by_mode, peers):
    """Every loss, by mode and row in their order. Nothing without mode shadow."""
    found = []
    for mode, rows in by_mode.items():
        if mode == "shadow" or mode in machine.FOREIGN_MODES:  # those have tables of their own (peer_tables.py)
            continue
        for peer in peers:
            here, shadow = rows.get(peer["name"]), by_mode.get("shadow", {}).get(peer["name"])
            if here is None or shadow is None or here.instructions <= shadow.instructions * _NOTHING:
                continue
            reasons = _REASONS.get(mode, {})
            found.append(Loss(mode, peer["name"], peer["title"], here.instructions, shadow.instructions, here.memory_exits,
                              shadow.memory_exits, reasons.get(peer["name"], reasons.get(None, ""))))
    return found
