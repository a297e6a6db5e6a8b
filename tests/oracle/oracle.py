#!/usr/bin/python3
"""Runs random programs on Linux and in the guest: every result, error, signal, byte and mapping must agree.

oracle.py --mode vma --count 10000      10,000 programs, in one boot for each --batch
oracle.py --seed 123 --count 1 --show   one, and what it does and sees
oracle.py --file PROGRAMS               programs of a file, as --keep writes them

A difference is shrunk to the smallest program that still differs, and printed. Status 1: something differs; 77: this
machine's Linux is none that papers/linux.md speaks of.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import generator
import shrink

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, images, launcher  # noqa: E402
from lib.errors import UserError  # noqa: E402

PLAYER = images.PROGRAMS / "oracle_player"
# Kernels that agree about all that is generated, or whose differences are in papers/linux.md.
JUDGES = ("6.1.", "6.12.", "6.18.")
SKIPPED = 77
DONE = "oracle_player: done"
# Where files are tmpfs's, as all are in the guest.
TMPFS = "/dev/shm"
MOST_SHRUNK = 3
GUEST_MIB = 256
_DIGEST = re.compile(r"(\S+) ([0-9a-f]{16})")


class Linux:
    name = "Linux"

    def play(self, programs, trace):
        with tempfile.TemporaryDirectory(prefix="nopte-oracle-", dir=TMPFS) as folder:
            listed = pathlib.Path(folder) / "programs"
            listed.write_text(generator.text(programs))
            try:
                done = subprocess.run([PLAYER, listed, folder, *["--trace"] * trace], capture_output=True, text=True, check=False,
                                      timeout=60 + len(programs) / 10, stdin=subprocess.DEVNULL)
            except subprocess.TimeoutExpired as error:
                raise UserError("the player did not end on this machine") from error
        return parse(done.stdout, trace)


class Guest:
    def __init__(self, mode, timeout):
        self.name, self.timeout = mode, timeout

    def play(self, programs, trace):
        """What was printed until the machine ended, however it did: what is missing differs."""
        with tempfile.TemporaryDirectory(prefix="nopte-oracle-") as name:
            folder = pathlib.Path(name)
            (folder / "list").write_text(generator.text(programs))
            extra = [(PLAYER, "/test/oracle_player"), (folder / "list", "/test/programs")]
            command = ["/test/oracle_player", "/test/programs", "/tmp", *["--trace"] * trace]
            boot = boots.make(folder, self.name, command, extra=extra, guest_mib=GUEST_MIB)
            try:
                console = launcher.run(machine.command(boot), boot.counters, self.timeout, hidden=boot.hidden).console
            except launcher.BootError as error:
                print(error, file=sys.stderr)
                console = error.console
        return parse(console.decode(errors="replace").replace("\r", ""), trace)


def parse(printed, trace):
    """Program → its digest, or the list of its lines. Without the last one when the player did not come to its end."""
    if not trace:
        return {match[1]: match[2] for line in printed.splitlines() if (match := _DIGEST.fullmatch(line))}
    found, lines = {}, None
    for line in printed.splitlines():
        if line.startswith("= "):
            lines = found.setdefault(line[2:], [])
        elif line == DONE:
            break
        elif lines is not None and not line.startswith("nopte"):
            lines.append(line)
    return found


def differing(programs, linux, guest):
    one, other = linux.play(programs, False), guest.play(programs, False)
    if len(one) != len(programs):
        raise UserError(f"the player did not play all {len(programs)} programs on this machine, but {len(one)}")
    return [name for name in programs if one[name] != other.get(name)]


def smallest(operations, linux, guest):
    def which(candidates):
        return [int(name) for name in differing({str(i): each for i, each in enumerate(candidates)}, linux, guest)]

    return shrink.shrink(operations, which, lambda text: print(f"  shrunk to {text}", flush=True))


def by_operation(lines):
    """Operation's index → what it saw."""
    return dict(line.split(" ", 1) for line in lines if " " in line)


def show(operations, seen):
    """`seen`: who → trace. Prints each operation with what was seen, once where all agree."""
    split = {who: by_operation(lines) for who, lines in seen.items()}
    for index, operation in enumerate(operations):
        results = {who: found.get(str(index), "(not there)") for who, found in split.items()}
        agreed = len(set(results.values())) == 1
        print(f"  {index:3} {operation}" + (f"  → {next(iter(results.values()))}" if agreed else ""))
        if not agreed:
            for who, result in results.items():
                print(f"        {who:>8}: {result}")


def judge(programs, linux, guest, options):
    """How many differ; prints the first ones, shrunk."""
    names = differing(programs, linux, guest)
    for name in names[:options.shrink]:
        print(f"program {name} differs", flush=True)
        operations = smallest(programs[name], linux, guest)
        if options.keep:
            with options.keep.open("a") as kept:
                kept.write(generator.text({name: operations}))
        one = {name: operations}
        show(operations, {who.name: who.play(one, True).get(name, []) for who in (linux, guest)})
    if len(names) > options.shrink:
        print("differ too: " + " ".join(names[options.shrink:options.shrink + 50]))
    return len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=machine.MODES, default="native")
    parser.add_argument("--seed", type=int, default=0, help="the first program's")
    parser.add_argument("--count", type=int, default=1000, help="how many programs; 0: until something differs")
    parser.add_argument("--batch", type=int, default=10000, help="programs in a boot")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a boot may take")
    parser.add_argument("--file", type=pathlib.Path, help="plays the programs of a file instead")
    parser.add_argument("--keep", type=pathlib.Path, help="appends shrunk programs to a file")
    parser.add_argument("--shrink", type=int, default=MOST_SHRUNK, help="shrinks at most so many of a batch")
    parser.add_argument("--show", action="store_true", help="prints the programs and what they see, and judges nothing")
    options = parser.parse_args()
    if not os.uname().release.startswith(JUDGES):
        print(f"skipped: Linux {os.uname().release} is no judge: the tables know {', '.join(each + 'x' for each in JUDGES)}")
        return SKIPPED
    linux, guest = Linux(), Guest(options.mode, options.timeout)
    given = generator.parse(options.file.read_text()) if options.file else None
    wrong = played = 0
    while True:
        size = min(options.batch, options.count - played) if options.count else options.batch
        seeds = range(options.seed + played, options.seed + played + size)
        programs = given or {str(seed): generator.program(seed) for seed in seeds}
        if options.show:
            seen = [(who.name, who.play(programs, True)) for who in (linux, guest)]
            for name, operations in programs.items():
                print(f"program {name}")
                show(operations, {who: found.get(name, []) for who, found in seen})
        else:
            wrong += judge(programs, linux, guest, options)
        played += len(programs)
        print(f"{played} programs in mode {options.mode}, {wrong} differ from Linux {os.uname().release}", flush=True)
        if given or (options.count and played >= options.count) or (not options.count and wrong):
            return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
