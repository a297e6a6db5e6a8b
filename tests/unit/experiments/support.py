"""What the tests of experiments/ share: the import path, and made-up runs."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "experiments"))


def mark(edge, name, tsc, idle_ns=0, **counters):
    return {"event": "mark", "text": f"{edge} {name}", "tsc": tsc, "idle_ns": idle_ns, "counters": counters}


def exits(memory, platform, hypervisor, **calls):
    return {"exits_memory": memory, "exits_platform": platform, "exits_other": 0, "hv_instructions": hypervisor,
            "calls": calls}


def mmlat_run(rows, empty_exits=1, faults=0):
    """Console and events of an mmlat that measured `rows`: name → (ops, instructions, exits, hypervisor's). `faults`:
    that the engine counts in each row's span."""
    console = "row empty ops 1 instructions 2\n"
    memory, platform, hypervisor, tsc = 100, 50, 9000, 10_000
    all_faults = 7
    events = []

    def edge(which, name):
        nonlocal platform, hypervisor
        platform += empty_exits
        hypervisor += 30 * empty_exits
        events.append(mark(which, name, tsc, faults=all_faults,
                           **exits(memory, platform, hypervisor, mark=len(events) + 1)))

    edge("begin", "empty")
    edge("end", "empty")
    for name, (ops, instructions, row_exits, row_hypervisor) in rows.items():
        edge("begin", name)
        memory += row_exits
        hypervisor += row_hypervisor
        all_faults += faults
        tsc += instructions
        edge("end", name)
        console += f"row {name} ops {ops} instructions {instructions}\r\n"
    events.append({"event": "power_off", "status": 0, "tsc": tsc, "counters": {}})
    return console.encode(), events
