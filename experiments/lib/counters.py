"""Reads the counters channel: one JSON object per line, written by the hypervisor, or natively by the guest.

Lines: {"event": "mark", "text": "begin NAME" | "end NAME", "tsc": N, "idle_ns": N, "counters": {...}} at each edge of
a measured span, and at the end {"event": "power_off", "status": N, ...}. Counters only grow; a span's are the
differences between its edges. Nested objects are flattened to dotted names: "exits.page_fault".
"""

import dataclasses
import json
import pathlib

from .errors import UserError

@dataclasses.dataclass
class Span:
    """What happened between "begin NAME" and "end NAME"; several spans of one name add up."""

    name: str
    ticks: int
    idle_ns: int
    counters: dict

    def minus(self, other):
        """This span without what `other`, the empty span, costs."""
        names = set(self.counters) | set(other.counters)
        counters = {name: self.counters.get(name, 0) - other.counters.get(name, 0) for name in names}
        return Span(self.name, self.ticks - other.ticks, self.idle_ns, counters)


def read(path):
    """The channel's events. A last line that was cut off is left out; any other bad line is an error."""
    text = pathlib.Path(path).read_text(errors="replace") if pathlib.Path(path).exists() else ""
    lines = text.split("\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise UserError(f"{path}, line {number}: not JSON: {error.msg}") from error
        if not isinstance(event, dict) or "event" not in event:
            raise UserError(f"{path}, line {number}: an event's name is missing")
        events.append(event)
    return events


def power_off(events):
    """The power-off event, or None when the machine did not get there."""
    for event in reversed(events):
        if event["event"] == "power_off" and isinstance(event.get("status"), int):
            return event
    return None


def flatten(counters, prefix=""):
    flat = {}
    for name, value in counters.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, int):
            flat[prefix + name] = value
    return flat


def spans(events):
    """Name → Span for every pair of marks. A mark without its pair is an error."""
    found = {}
    open_marks = {}
    for event in events:
        if event["event"] != "mark":
            continue
        edge, _, name = event["text"].strip().partition(" ")
        if edge == "begin":
            if name in open_marks:
                raise UserError(f"the span {name} began twice")
            open_marks[name] = event
        elif edge == "end":
            if name not in open_marks:
                raise UserError(f"the span {name} ended without a beginning")
            span = _between(name, open_marks.pop(name), event)
            found[name] = _sum(found[name], span) if name in found else span
    if open_marks:
        raise UserError(f"the span {', '.join(open_marks)} did not end")
    return found


def _between(name, begin, end):
    before = flatten(begin.get("counters", {}))
    after = flatten(end.get("counters", {}))
    counters = {key: value - before.get(key, 0) for key, value in after.items()}
    return Span(name, end["tsc"] - begin["tsc"], end.get("idle_ns", 0) - begin.get("idle_ns", 0), counters)


def _sum(one, other):
    counters = {key: one.counters.get(key, 0) + other.counters.get(key, 0)
                for key in one.counters | other.counters}
    return Span(one.name, one.ticks + other.ticks, one.idle_ns + other.idle_ns, counters)


def memory_exits(counters):
    """Faults, memory calls, and accesses to what controls paging."""
    return counters.get("exits_memory", 0)


def platform_exits(counters):
    """Exits for time, interrupts, console, idling, marks and everything else that is not memory."""
    return counters.get("exits_platform", 0) + counters.get("exits_other", 0)


def hypervisor_instructions(counters):
    return counters.get("hv_instructions", 0)
