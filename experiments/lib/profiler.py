"""Profiles: boots with the QEMU plugin of experiments/profiler, and the spans that are cut out of what it counted."""

import dataclasses
import pathlib
import tempfile

import machine

from . import boots, call_tree, images, launcher, profile_symbols, results
from .errors import UserError

PLUGIN = images.BUILD / "experiments" / "profiler.so"
TARGETS = ("profiler",)
# What mmlat measures beside the rows that are asked for.
_EMPTY = "empty"


@dataclasses.dataclass
class Profile:
    """What a span of a boot executed."""

    name: str  # of a row of mmlat, or "program"
    title: str
    mode: str
    ops: int
    tree: call_tree.Node
    clock: int | None = None  # what the machine's clock counted for the same span; None: nothing to compare with

    @property
    def instructions(self):
        return self.tree.total


@dataclasses.dataclass
class Recorded:
    run: launcher.Run
    recording: call_tree.Recording
    table: profile_symbols.Table


def record(mode, command, extra=(), guest_mib=machine.GUEST_MIB, timeout=None, output=None, keyboard=None,
           guest=images.GUEST, tree=None):
    """Boots `command` in the image `guest` with the plugin. `tree`: initramfs.build's."""
    table = profile_symbols.table(mode, extra, guest)
    with tempfile.TemporaryDirectory(prefix="nopte-profile-") as folder:
        folder = pathlib.Path(folder)
        boot = boots.make(folder, mode, command, extra=extra, guest_mib=guest_mib, guest=guest, tree=tree)
        (folder / "table").write_text(table.text())
        counts = folder / "counts"
        arguments = ["-plugin", f"{PLUGIN},out={counts},table={folder / 'table'}"]
        done = launcher.run(machine.command(boot) + arguments, boot.counters, timeout, output=output, keyboard=keyboard)
        if not counts.exists() or done.status == 130 and not done.events:
            raise UserError("the machine was ended before its program: there is no profile")
        with counts.open() as lines:
            return Recorded(done, call_tree.read(lines), table)


def whole(recorded, mode, title, boot=False):
    """The whole program, without the kernel's start unless `boot`."""
    cuts = recorded.recording.cuts
    if not boot:
        first = next((index for index, cut in enumerate(cuts) if cut.kind == "program"), None)
        if first is None:
            raise UserError("no program was begun: there is nothing to profile", "--boot profiles the kernel's start")
        cuts = cuts[first + 1:]
    return Profile("program", title, mode, 1, call_tree.tree(recorded.recording, cuts, recorded.table.function))


def rows(recorded, mode, names, titles):
    """A Profile for each of these rows of mmlat, and the rows that failed: name → why."""
    measured, failed = results.parse_rows(recorded.run.console)
    texts = [event["text"].strip() for event in recorded.run.events if event["event"] == "mark"]
    spans = _spans(recorded.recording, texts)
    if _EMPTY not in measured:
        raise UserError(f"{mode}: the empty span was not measured")
    found = []
    for name in names:
        if name in failed or name not in measured or name not in spans:
            failed.setdefault(name, "it was not measured")
            continue
        ops, instructions = measured[name]
        tree = call_tree.tree(recorded.recording, spans[name], recorded.table.function)
        # The row's figure is without what an empty span takes.
        found.append(Profile(name, titles.get(name, name), mode, ops, tree, instructions + measured[_EMPTY][1]))
    return found, {name: why for name, why in failed.items() if name in names}


def _spans(recording, texts):
    """Name of a row → its cuts: from behind the first reading of the clock between its marks to the last."""
    marks = [index for index, cut in enumerate(recording.cuts) if cut.kind == "mark"]
    if len(marks) != len(texts):
        raise UserError(f"the plugin saw {len(marks)} marks, the machine {len(texts)}")
    found, begun = {}, {}
    for index, text in zip(marks, texts):
        edge, _, name = text.partition(" ")
        if edge == "begin":
            begun[name] = index
        elif edge == "end" and name in begun:
            inside = [at for at in range(begun.pop(name), index) if recording.cuts[at].kind == "ticks"]
            if len(inside) >= 2:
                found.setdefault(name, []).extend(recording.cuts[inside[0] + 1:inside[-1] + 1])
    return found
