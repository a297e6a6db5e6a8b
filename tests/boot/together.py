#!/usr/bin/python3
"""Runs the boot rows (rows.toml) of a mode whose boot is dear, many to a boot: a shell starts one after the other. A row
that needs memory of its own, or that ends the machine, has a boot of its own.

together.py MODE [ROW...]      without rows, all that the mode has; --sample: those of a few seconds

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

# One after the other these are as good as alone. The others are not started by a shell.
ALONE = {"power_off", "restart", "halt", "not_found", "panic", "out_of_memory", "full_tmpfs", "mmlat", "many_files"}
# What these leave behind is not what others expect: files are gone.
LAST = {"nasty_files", "random_calls"}
SAMPLE = ("hello", "status", "killed", "trace", "script", "signals", "memory", "processes")
USUAL_MIB = 512
# Boot itself, on a busy machine.
BOOT_SECONDS = 180
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


def run_together(rows, mode, folder):
    """What is wrong, by row."""
    programs = {row.program for row in rows if row.program}
    extra = [(runner.PROGRAMS / program, f"/test/{program}") for program in sorted(programs)]
    (folder / "rows.sh").write_text(script(rows))
    extra.append((folder / "rows.sh", "/test/rows.sh"))
    boot = boots.make(folder, mode, ["/bin/busybox", "sh", "/test/rows.sh"], extra=extra, guest_mib=USUAL_MIB)
    failed = ""
    try:
        console = launcher.run(machine.command(boot), boot.counters, BOOT_SECONDS + sum(row.timeout for row in rows),
                               hidden=boot.hidden).console
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help="the sample that tests/run takes")
    parser.add_argument("mode", choices=(machine.XEN_PV,))
    parser.add_argument("rows", nargs="*", metavar="ROW")
    options = parser.parse_args()
    names = options.rows or (SAMPLE if options.sample else ())
    # What is true of a mode that is not ours is what is true natively.
    rows = [row for row in runner.rows() if row.name in names or (not names and "native" in row.modes)]
    shared = sorted((row for row in rows if row.name not in ALONE), key=lambda row: row.name in LAST)
    if why := boots.missing(options.mode):
        print(f"skipped: {why}")
        return runner.SKIPPED
    wrong = {}

    def take(found):
        wrong.update(found)
        for name, problems in found.items():
            print(f"{options.mode} {name}: " + "\n".join(problems), flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="nopte-rows-") as folder:
            if shared:
                take(run_together(shared, options.mode, pathlib.Path(folder)))
        for row in rows:
            if row not in shared:
                with tempfile.TemporaryDirectory(prefix="nopte-row-") as folder:
                    row.timeout += BOOT_SECONDS
                    if problems := runner.run(row, options.mode, pathlib.Path(folder)):
                        take({row.name: problems})
    except UserError as error:
        print(error)
        return 1
    print(f"{len(rows)} rows, {len(wrong)} wrong" + (": " + ", ".join(wrong) if wrong else ""))
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
