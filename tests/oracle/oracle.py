#!/usr/bin/python3
"""Runs random programs on Linux and in the guest: every result, error, signal, byte and mapping must agree.

oracle.py --mode vma --count 10000      10,000 programs, in one boot for each --batch
oracle.py --seed 123 --count 1 --show   one, and what it does and sees
oracle.py --file PROGRAMS               programs of a file, as --keep writes them
oracle.py --judge debian                Debian's kernel in QEMU judges, not this machine's
oracle.py --mode host --count 10000     whether these two agree
oracle.py --known                       whether what is known to differ (known.py) still does

A difference is shrunk to the smallest program that still differs, and printed. Status 1: something differs; 77: this
machine's Linux is none that papers/linux.md speaks of, and Debian's kernel cannot be had.
"""

import argparse
import pathlib
import sys

import generator
import known
import places
import shrink
from places import UserError, machine

SKIPPED = 77
MOST_SHRUNK = 3
HOST, DEBIAN = "host", "debian"


def differing(programs, linux, guest):
    one, other = linux.play(programs, places.DIGEST), guest.play(programs, places.DIGEST)
    if len(one) != len(programs):
        raise UserError(f"the player did not play all {len(programs)} programs on {linux.name}, but {len(one)}")
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
        show(operations, {who.name: who.play(one, places.TRACE).get(name, []) for who in (linux, guest)})
    if len(names) > options.shrink:
        print("differ too: " + " ".join(names[options.shrink:options.shrink + 50]))
    return len(names)


def judge_known(linux, guest):
    """How many rows of known.py are not as they say; prints them."""
    played = {row.name: row.program() for row in known.ALL}
    seen = {who.name: who.play(played, places.RAW) for who in (linux, guest)}
    wrong = 0
    for row in known.ALL:
        one = {who: found.get(row.name, []) for who, found in seen.items()}
        differs = one[linux.name] != one[guest.name]
        if differs == row.differs(linux.version):
            continue
        wrong += 1
        print(f"{row.name} ({row.call}): " + ("differs, and should not" if differs else
                                              "no longer differs: take the row out, and what it leaves out"))
        show(played[row.name], one)
    print(f"{len(known.ALL)} known differences of {guest.name} and {linux.name}, {wrong} are not so")
    return wrong


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=[*machine.MODES, HOST], default="native",
                        help="who is judged: the guest in a mode, or with host this machine's Linux itself")
    parser.add_argument("--judge", choices=(HOST, DEBIAN),
                        help="this machine's Linux, or Debian's kernel in QEMU (the default where papers/linux.md does not speak of "
                             "this machine's, and for --mode host)")
    parser.add_argument("--seed", type=int, default=0, help="the first program's")
    parser.add_argument("--count", type=int, default=1000, help="how many programs; 0: until something differs")
    parser.add_argument("--batch", type=int, default=2500, help="programs in a boot")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that a boot may take")
    parser.add_argument("--file", type=pathlib.Path, help="plays the programs of a file instead")
    parser.add_argument("--keep", type=pathlib.Path, help="appends shrunk programs to a file")
    parser.add_argument("--shrink", type=int, default=MOST_SHRUNK, help="shrinks at most so many of a batch")
    parser.add_argument("--known", action="store_true",
                        help="plays the witnesses of known.py's rows instead: each must differ, or agree, as its row says")
    parser.add_argument("--show", action="store_true", help="prints the programs and what they see, and judges nothing")
    options = parser.parse_args(arguments)
    if options.judge is None:
        options.judge = HOST if places.Host.is_known() and options.mode != HOST else DEBIAN
    return options


def main():
    options = options_of(sys.argv[1:])
    try:
        linux = places.Host() if options.judge == HOST else places.Debian(options.timeout)
    except UserError as error:
        print(f"skipped: {error}")
        return SKIPPED
    guest = places.Host() if options.mode == HOST else places.Guest(options.mode, options.timeout)
    if options.known:
        return 1 if judge_known(linux, guest) else 0
    versions = [who.version for who in (linux, guest) if not isinstance(who, places.Guest)]
    left_out = known.differing_on(*versions)
    given = generator.parse(options.file.read_text()) if options.file else None
    wrong = played = 0
    while True:
        size = min(options.batch, options.count - played) if options.count else options.batch
        seeds = range(options.seed + played, options.seed + played + size)
        programs = given or {str(seed): generator.program(seed, left_out) for seed in seeds}
        if options.show:
            seen = [(who.name, who.play(programs, places.TRACE)) for who in (linux, guest)]
            for name, operations in programs.items():
                print(f"program {name}")
                show(operations, {who: found.get(name, []) for who, found in seen})
        else:
            wrong += judge(programs, linux, guest, options)
        played += len(programs)
        print(f"{played} programs on {guest.name}, {wrong} differ from {linux.name}", flush=True)
        if given or (options.count and played >= options.count) or (not options.count and wrong):
            return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
