#!/usr/bin/python3
"""Runs the boot rows (rows.toml) that share a boot: a shell starts one after the other.

together.py MODE [ROW...]      without rows, all that the mode has; --sample: those of a few seconds
together.py --list             TEST SECONDS LABEL MODE ARGUMENT... for each mode, and each sample

Status 77, with a line that says so: the mode needs a package that cannot be had.
"""

import argparse
import pathlib
import re
import shlex
import sys
import tempfile

import runner
from runner import boots, launcher, machine, UserError

# Boot itself, on a busy machine.
BOOT_SECONDS = {mode: 180 if mode in machine.FOREIGN_MODES else 60 for mode in machine.ALL_MODES}
_BEGIN, _END = "== row begins: ", "== row ended: "
_MARK = re.compile(rf"{_END}(\S+) (\d+)")


def script(rows):
    lines = []
    for row in rows:
        command = shlex.join(boots.in_guest(part) if at == 0 else part
                             for at, part in enumerate(row.arguments(f"/test/{row.program}")))
        # In a folder of its own, and without the shell's standard input.
        lines += [f"echo '{_BEGIN}{row.name}'", f"(cd / && exec {command}) </dev/console", f"echo '{_END}{row.name}' $?"]
    return "\n".join(lines) + "\n"


def parts(console):
    """Row → (its part of the console, its status). Of a row that did not end, what there is, and None."""
    found, name, lines = {}, None, []
    for line in console.replace("\r", "").split("\n"):
        ended = _MARK.search(line)
        if line.startswith(_BEGIN):
            name, lines = line.removeprefix(_BEGIN), []
        elif name is not None and ended and ended[1] == name:
            found[name] = ("\n".join(lines + [line[:ended.start()]]), int(ended[2]))
            name = None
        elif name is not None:
            lines.append(line)
    if name is not None:
        found[name] = ("\n".join(lines), None)
    return found


def rows_of(mode, names=()):
    """The mode's rows that share a boot, in the order in which they run."""
    shared = [row for row in runner.rows() if mode in row.all_modes() and not row.has_own_boot()]
    return sorted((row for row in shared if not names or row.name in names), key=lambda row: row.last)


def seconds(rows, mode):
    """When the boot is given up: most rows take a second of what each may, and one that hangs is found before long."""
    return BOOT_SECONDS[mode] + 3 * max(row.seconds(mode) for row in rows)


def run_together(rows, mode, folder, extra=(), tree=None, guest_mib=runner.USUAL_MIB):
    """What is wrong, by row. `extra`, `tree`: initramfs.build's."""
    programs = {row.program for row in rows if row.program}
    extra = [*extra, *((runner.PROGRAMS / program, f"/test/{program}") for program in sorted(programs))]
    (folder / "rows.sh").write_text(script(rows))
    extra.append((folder / "rows.sh", "/test/rows.sh"))
    boot = boots.make(folder, mode, ["/bin/busybox", "sh", "/test/rows.sh"], extra=extra, tree=tree, guest_mib=guest_mib)
    failed = ""
    try:
        console = launcher.run(machine.command(boot), boot.counters, seconds(rows, mode), hidden=boot.hidden).console
    except launcher.BootError as error:
        console, failed = error.console, str(error)
    found = parts(console.decode(errors="replace"))
    wrong = {}
    for row in rows:
        printed, status = found.get(row.name, ("", None))
        if row.name not in found:
            wrong[row.name] = ["it was not reached"]
        elif status is None:
            wrong[row.name] = [f"it did not end: {failed or 'the machine did'}", printed]
        elif problems := runner.check(row, printed.encode(), status):
            wrong[row.name] = [*problems, "it printed:\n" + printed]
    return wrong


def listed():
    for mode in machine.ALL_MODES:
        long = mode in machine.FOREIGN_MODES
        print(f"{mode}_rows {seconds(rows_of(mode), mode):g} {'long' if long else 'boot'} {mode}")
        if mode in runner.SAMPLE:
            print(f"{mode}_sample {seconds(rows_of(mode, runner.SAMPLE[mode]), mode):g} boot {mode} --sample")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--sample", action="store_true", help="of a mode whose hypervisor is not ours")
    parser.add_argument("mode", choices=machine.ALL_MODES, nargs="?")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    options = parser.parse_args()
    if options.list:
        listed()
        return 0
    if options.mode is None or (options.sample and options.mode not in runner.SAMPLE):
        parser.error("--sample is for " + ", ".join(runner.SAMPLE) if options.mode else "which mode?")
    names = options.rows or (runner.SAMPLE[options.mode] if options.sample else ())
    rows = rows_of(options.mode, names)
    if unknown := set(options.rows) - {row.name for row in rows}:
        parser.error(f"{options.mode} shares no boot among {', '.join(sorted(unknown))}: tests/boot/runner.py boots for one row")
    if why := boots.missing(options.mode):
        print(f"skipped: {why}")
        return runner.SKIPPED
    try:
        with tempfile.TemporaryDirectory(prefix="nopte-rows-") as folder:
            wrong = run_together(rows, options.mode, pathlib.Path(folder))
    except UserError as error:
        print(error)
        return 1
    for name, problems in wrong.items():
        print(f"{options.mode} {name}: " + "\n".join(problems))
    print(f"{len(rows)} rows, {len(wrong)} wrong" + (": " + ", ".join(wrong) if wrong else ""))
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
