"""Counts the executed instructions of a program, or of a row of mmlat, by function and caller: kernel, hypervisor and all."""

import argparse
import json
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from lib import (boots, comparison, errors, flame, images, initramfs, launcher, package_tree, perf, profile_formats,  # noqa: E402
                 profiler, side_by_side, walks)

EPILOG = """\
examples:
  experiments/profile --mode vma --rows anon-touch
  experiments/profile --mode shadow -- /bin/busybox sh /script.sh
  experiments/profile --mode native --without --rows protect-none
  experiments/profile --with ./my-static-program -- /my-static-program --its-option

Counts are exact, and those of the machine's clock: every instruction is seen, by a plugin of QEMU. Of a row they are what
experiments/compare counts, with the empty span that it subtracts. What the hypervisor does for an exit is a callee of what
the guest was doing. A program with symbols is shown by function (link it statically, do not strip it), without them as one.

Writes, into --out, NAME-MODE.callgrind (KCachegrind, callgrind_annotate), .folded, .svg (a flame graph), .json and .csv.
--accel kvm, on a machine whose processor counts, runs perf around QEMU instead: .perf.json.
"""

SECONDS = 300


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/profile", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--mode", default="vma", choices=(*machine.MODES, *machine.FOREIGN_MODES), help="default: vma")
    parser.add_argument("--rows", metavar="ROW,...", help="rows of mmlat, instead of a program")
    parser.add_argument("--scale", type=int, metavar="PERCENT",
                        help="of mmlat's repetitions and sizes (default 100, experiments/compare's)")
    parser.add_argument("--with", dest="extra", action="append", default=[], metavar="HOST[:GUEST]",
                        help="add a file or folder to the guest's files (repeatable)")
    parser.add_argument("--package", dest="packages", action="append", default=[], metavar="NAME",
                        help="add a Debian package and what it depends on to the guest's files (repeatable), as experiments/boot")
    parser.add_argument("--memory", default=f"{machine.GUEST_MIB}M", metavar="SIZE",
                        help=f"what the guest gets (default {machine.GUEST_MIB}M)")
    parser.add_argument("--boot", action="store_true", help="from the machine's first instruction, not from the first program's")
    parser.add_argument("--top", type=int, default=25, metavar="N", help="functions that the table shows (default 25)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help=f"end the machine after this long (default {SECONDS})")
    parser.add_argument("--without", action="store_true",
                        help="the image without paravirtualisation (papers/census.md), in mode native")
    parser.add_argument("--accel", default="tcg", choices=("tcg", "kvm"), help="kvm: perf's figures of the host's processor")
    parser.add_argument("--out", type=pathlib.Path, default=images.ROOT / "out" / "profile", metavar="DIR",
                        help="where the files go (default: out/profile)")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --: a program and its arguments")
    return check(parser.parse_args(arguments))


def check(options):
    if bool(options.rows) == bool(options.command):
        raise errors.UserError("give a program after --, or --rows" + (", not both" if options.rows else ""),
                               f"rows are {', '.join(comparison.row_names())}")
    if options.command and options.scale is not None:
        raise errors.UserError("--scale: a program has none", "it goes with --rows")
    if options.rows and options.boot:
        raise errors.UserError("--boot: a row is no boot", "profile a program with it")
    if options.without and (options.mode != "native" or options.accel != "tcg"):
        raise errors.UserError("--without: that image runs on the bare machine alone", "add --mode native, and no --accel")
    if options.top < 1:
        raise errors.UserError(f"--top {options.top}: nothing to show", "give 1 or more")
    options.scale = 100 if options.scale is None else options.scale
    options.timeout = SECONDS if options.timeout is None else options.timeout
    comparison.check_measure_options(options)
    options.memory = boots.memory_mib(options.memory)
    options.extra = [initramfs.parse_with(argument) for argument in options.extra]
    options.row_names = [row for row in (options.rows or "").split(",") if row]
    if options.row_names:
        options.command = ["/bin/mmlat", "--scale", str(options.scale), "--rows", ",".join(options.row_names)]
    return options


def main():
    options = parse(sys.argv[1:])
    make_folder(options.out)
    if options.accel == "kvm":
        images.prepare()
        return perf.run(options)
    walks.require("experiments/profile")
    images.prepare(also=(*profiler.TARGETS, *boots.targets(options.mode), *([images.GUEST_NATIVE.name] if options.without else [])))
    return run(options)


def make_folder(out):
    """Before anything is counted. What else is in the folder stays."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.UserError(f"--out {out}: {error.strerror}", "name a folder that can be written") from error


def run(options):
    command = shlex.join(options.command)
    if options.row_names:
        progress = side_by_side.Progress(1).start(options.mode, "mmlat")
        console = progress.console
    else:
        console = launcher.StdoutConsole()
        images.say(f"{options.mode}: {command}")
    recorded = profiler.record(options.mode, options.command, options.extra, options.memory, options.timeout, console,
                               None if options.row_names else sys.stdin.fileno(),
                               images.GUEST_NATIVE if options.without else images.GUEST,
                               package_tree.tree(options.packages) if options.packages else None)
    if options.row_names:
        progress.done()
        profiles, failed = profiler.rows(recorded, options.mode, options.row_names, titles())
    else:
        console.finish()
        profiles, failed = [profiler.whole(recorded, options.mode, command, options.boot)], {}
    for profile in profiles:
        print(profile_formats.terminal(profile, options.top))
        print("files: " + write(profile, command, options))
    for row, why in failed.items():
        print(f"PROBLEM: {options.mode}, row {row}: {why}")
    return 1 if failed else recorded.run.status


def titles():
    return {row["name"]: row["title"] for row in json.loads(comparison.PEERS.read_text())["rows"]}


def write(profile, command, options):
    """All files of a profile; answers with what they are called."""
    try:
        stem = options.out / f"{profile.name}-{'without' if options.without else profile.mode}"
        for ending, text in (("callgrind", profile_formats.callgrind(profile, command)),
                             ("folded", profile_formats.folded(profile)), ("svg", flame.svg(profile)),
                             ("json", profile_formats.json_text(profile, {"command": command})),
                             ("csv", profile_formats.csv_text(profile))):
            stem.with_name(f"{stem.name}.{ending}").write_text(text)
    except OSError as error:
        raise errors.UserError(f"--out {options.out}: {error.strerror}") from error
    return f"{stem}.{{callgrind,folded,svg,json,csv}}"


if __name__ == "__main__":
    errors.run_main(main)
