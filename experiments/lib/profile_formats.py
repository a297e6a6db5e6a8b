"""A profile as text: the table on the terminal, Callgrind's format, folded stacks, JSON, CSV."""

import csv
import io
import json

from . import call_tree, profile_symbols

# Whose instructions they are, as the table's summary calls it; anything else is a program's.
OWNERS = {"nopte-guest": "guest kernel", "nopte-guest-native": "guest kernel", "nopte-hv": "hypervisor", "exits": "hypervisor", "xen": "hypervisor", "firmware": "firmware"}


def owner_of(image):
    return "hypervisor" if image.startswith(profile_symbols.KVM_HOST) else OWNERS.get(image, "program")


def owner(function):
    return owner_of(function.image)


def short(name):
    """A C++ name without its namespace of namespaces, its template arguments and its parameters."""
    name = name.replace("(anonymous namespace)::", "").replace("nopte::", "")
    if name.startswith("["):
        return name
    kept, depth, index = [], 0, 0
    while index < len(name):
        if depth == 0 and name.startswith("operator", index):
            end = index + len("operator")
            while end < len(name) and name[end] in "<>=-+*/&|!^~%[]":
                end += 1
            if name[end:end + 2] == "()":
                end += 2
            kept.append(name[index:end])
            index = end
            continue
        if name[index] in "<(":
            if depth == 0 and name[index] == "(" and kept:
                break
            depth += 1
        elif name[index] in ">)":
            depth -= 1
        elif depth == 0:
            kept.append(name[index])
        index += 1
    # A template's name begins with its result.
    return "".join(kept).strip().split(" ")[-1] or name


def _per(value, ops):
    value /= ops
    return f"{value:,.0f}" if ops == 1 else f"{value:,.1f}"


def terminal(profile, top):
    """The functions with the most instructions of their own, per operation."""
    all_ = max(profile.instructions, 1)
    owners = {}
    for image, own in call_tree.by_image(profile.tree):
        name = owner_of(image)
        owners[name] = owners.get(name, 0) + own
    unit = "instructions" if profile.ops == 1 else f"instructions per operation, of {profile.ops:,}"
    lines = [f"== {profile.title}, mode {profile.mode}: {_per(profile.instructions, profile.ops)} {unit}",
             "   " + ", ".join(f"{name} {_per(own, profile.ops)} ({own / all_:.1%})"
                               for name, own in sorted(owners.items(), key=lambda one: -one[1]))]
    if profile.clock is not None:
        lines.append(f"   counted {profile.instructions:,}, by the machine's clock {profile.clock:,} (the row and an empty span): "
                     + ("the same" if profile.clock == profile.instructions else
                        f"{profile.instructions - profile.clock:+,}"))
    lines += ["", f"{'own':>13} {'':>6} {'with callees':>14} {'calls':>11}  function"]
    functions = [one for one in call_tree.by_function(profile.tree) if one.own or one.total]
    for one in functions[:top]:
        lines.append(f"{_per(one.own, profile.ops):>13} {one.own / all_:>6.1%} {_per(one.total, profile.ops):>14} "
                     f"{one.calls / profile.ops:>11,.2f}  {short(one.function.name)} ({one.function.image})")
    if len(functions) > top:
        rest = sum(one.own for one in functions[top:])
        lines.append(f"{_per(rest, profile.ops):>13} {rest / all_:>6.1%} {'':>26}  {len(functions) - top} more functions")
    return "\n".join(lines) + "\n"


def folded(profile):
    """One line for each chain of callers: "outermost;...;function INSTRUCTIONS", as flame graph tools take it."""
    lines = {}
    for chain, node in call_tree.chains(profile.tree):
        if node.own:
            name = ";".join(short(function.name).replace(";", ":") for function in chain)
            lines[name] = lines.get(name, 0) + node.own
    return "".join(f"{name} {own}\n" for name, own in sorted(lines.items()))


def callgrind(profile, command):
    """Callgrind's format (valgrind's manual, "Callgrind Format Specification"): one event, no lines of source."""
    lines = ["# callgrind format", "version: 1", "creator: nopte experiments/profile",
             f"cmd: {command}", f"desc: Trigger: {profile.title}, mode {profile.mode}", "positions: line",
             "event: Ir : Executed instructions", "events: Ir", f"summary: {profile.instructions}", ""]
    numbers = {}

    def named(kind, name):
        # Each name is written once for each kind of name, and its number from then on.
        space = {"cob": "ob", "cfi": "fl", "cfn": "fn"}.get(kind, kind)
        number = numbers.get((space, name))
        if number is not None:
            return f"{kind}=({number})"
        number = numbers[space, name] = sum(1 for other, _ in numbers if other == space) + 1
        return f"{kind}=({number}) {name}"

    edges = call_tree.edges(profile.tree)
    for one in call_tree.by_function(profile.tree):
        function = one.function
        lines += [named("ob", function.image), named("fl", function.image), named("fn", function.name), f"0 {one.own}"]
        for callee, edge in edges.get(function, {}).items():
            lines += [named("cob", callee.image), named("cfi", callee.image), named("cfn", callee.name),
                      f"calls={edge.calls} 0", f"0 {edge.total}"]
        lines.append("")
    return "\n".join([*lines, f"totals: {profile.instructions}", ""])


def _as_dicts(profile):
    return [{"image": one.function.image, "function": one.function.name, "instructions": one.own, "with_callees": one.total,
             "calls": one.calls} for one in call_tree.by_function(profile.tree)]


def json_text(profile, about):
    found = {"name": profile.name, "title": profile.title, "mode": profile.mode, "operations": profile.ops,
             "instructions": profile.instructions, "instructions_by_the_clock": profile.clock, **about,
             "images": dict(call_tree.by_image(profile.tree)), "functions": _as_dicts(profile)}
    return json.dumps(found, indent=1) + "\n"


def csv_text(profile):
    out = io.StringIO()
    writer = csv.DictWriter(out, ("image", "function", "instructions", "with_callees", "calls"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_as_dicts(profile))
    return out.getvalue()
