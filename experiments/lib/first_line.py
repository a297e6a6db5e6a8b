"""How long a program takes to print its first line, in instructions: the guest from the machine's start, its firmware included,
and Debian's Linux from the program's exec (workloads/first_line)."""

import dataclasses
import pathlib
import re
import tempfile

import machine

from . import boots, images, launcher, peers, programs
from .errors import UserError

PROGRAM = images.PROGRAMS / "first-line"
_GUEST_PROGRAM = "/bin/first-line"
_PACKAGES_OF = "python"
_COMMAND = (_GUEST_PROGRAM, "/usr/bin/python3", "-c", "print(1)")
_SECONDS = 300
_SAID = re.compile(r"^first line after (\d+) instructions, at (\d+): 1$", re.MULTILINE)


@dataclasses.dataclass
class Measured:
    after_exec: int
    after_start: int


def in_guest(mode):
    """Of `python3 -c 'print(1)'`, in the guest."""
    return _run(lambda folder, tree: boots.make(folder, mode, list(_COMMAND), extra=[(PROGRAM, _GUEST_PROGRAM)], tree=tree,
                                                guest_mib=programs.GUEST_MIB))


def on_linux():
    """The same on Debian's kernel."""
    return _run(lambda folder, tree: peers.linux_boot(
        folder, peers.archive({"first-line": list(_COMMAND)}, [(_GUEST_PROGRAM[1:], PROGRAM, 0o755)], tree), programs.GUEST_MIB))


def _run(make):
    tree = programs.tree([programs.load()[_PACKAGES_OF]])
    with tempfile.TemporaryDirectory(prefix="nopte-first-line-") as folder:
        boot = make(pathlib.Path(folder), tree)
        console = launcher.run(machine.command(boot), boot.counters, _SECONDS).console.decode(errors="replace").replace("\r", "")
    found = _SAID.search(console)
    if found is None:
        raise UserError(f"python3 printed no line:\n{console[-2000:]}")
    return Measured(int(found[1]), int(found[2]))
