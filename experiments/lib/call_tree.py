"""Executed instructions by function and chain of callers, as the plugin counted them in spans between cuts."""

import collections
import dataclasses

from .errors import UserError

ROOT = 0


@dataclasses.dataclass
class Count:
    instructions: int = 0
    calls: int = 0


@dataclasses.dataclass
class Cut:
    """The counts before a cut. `kind`: what ended them (experiments/profiler/plugin.cc)."""

    kind: str
    counts: dict  # node → Count


@dataclasses.dataclass
class Recording:
    nodes: dict  # node → (parent, number of its function)
    cuts: list


def read(lines):
    """The plugin's lines as a Recording."""
    nodes, cuts, counts = {}, [], {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            if words[0] == "node":
                nodes[int(words[1])] = (int(words[2]), int(words[3]))
            elif words[0] == "count":
                counts[int(words[1])] = Count(int(words[2]), int(words[3]))
            elif words[0] == "cut" and words[1] in ("mark", "ticks", "program", "end"):
                cuts.append(Cut(words[1], counts))
                counts = {}
            else:
                raise ValueError
        except (ValueError, IndexError):
            raise UserError(f"the plugin's line {number} is none of its lines: {line.strip()!r}",
                            "build it again: ninja -C build profiler") from None
    if not cuts or cuts[-1].kind != "end":
        raise UserError("the plugin did not write its last line", "is there room where temporary files go?")
    return Recording(nodes, cuts)


@dataclasses.dataclass
class Node:
    function: object  # a profile_symbols.Function
    own: int = 0
    calls: int = 0
    total: int = 0  # with all below
    children: dict = dataclasses.field(default_factory=dict)  # Function → Node


def tree(recording, cuts, function_of):
    """The sum of some cuts as a tree of Nodes; its root has no function. Functions of one name are one."""
    root = Node(None)
    made = {ROOT: root}

    def node_of(number):
        # Not by recursion: chains are as long as the guest's stacks are deep.
        missing = []
        while number not in made:
            missing.append(number)
            number = recording.nodes[number][0]
        node = made[number]
        for at in reversed(missing):
            function = function_of(recording.nodes[at][1])
            node = made[at] = node.children.setdefault(function, Node(function))
        return node

    for cut in cuts:
        for number, count in cut.counts.items():
            node = node_of(number)
            node.own += count.instructions
            node.calls += count.calls
    for node in reversed(list(preorder(root))):
        node.total = node.own + sum(child.total for child in node.children.values())
    return root


def preorder(root):
    """Every node of a tree, parents first."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children.values())


def chains(root):
    """(chain of functions from the outermost, node) of every node below the root."""
    waiting = [((), node) for node in reversed(root.children.values())]
    while waiting:
        above, node = waiting.pop()
        chain = (*above, node.function)
        yield chain, node
        waiting += [(chain, child) for child in reversed(node.children.values())]


@dataclasses.dataclass
class Totals:
    """A function over all chains. `total` counts what is below it once, however often it is its own caller."""

    function: object
    own: int = 0
    total: int = 0
    calls: int = 0


def by_function(root):
    """Totals of each function, those first that have the most instructions of their own."""
    found = {}
    for chain, node in chains(root):
        totals = found.setdefault(node.function, Totals(node.function))
        totals.own += node.own
        totals.calls += node.calls
        if node.function not in chain[:-1]:
            totals.total += node.total
    return sorted(found.values(), key=lambda one: (-one.own, -one.total, one.function.image, one.function.name))


@dataclasses.dataclass
class Edge:
    calls: int = 0
    total: int = 0


def edges(root):
    """Caller → callee → Edge."""
    found = collections.defaultdict(dict)
    for node in preorder(root):
        if node.function is None:
            continue
        for child in node.children.values():
            edge = found[node.function].setdefault(child.function, Edge())
            edge.calls += child.calls
            edge.total += child.total
    return found


def by_image(root):
    """Image → instructions, the most first."""
    found = collections.Counter()
    for node in preorder(root):
        if node.function is not None:
            found[node.function.image] += node.own
    return found.most_common()
