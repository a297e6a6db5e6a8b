#!/usr/bin/python3
"""Runs boot tests, the rows of rows.toml. `runner.py MODE NAME` boots for one; together.py runs many in one boot. `--list`
names for CMake those that have a boot of their own.

`--record` runs the program of every row whose `linux` is "recorded" on this machine's Linux, and keeps what it prints
in expected/: tests of system calls need nothing of the kernel that they run on."""

import argparse
import dataclasses
import pathlib
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, comparison, images, launcher  # noqa: E402
from lib.errors import UserError  # noqa: E402

PROGRAMS = images.PROGRAMS / "tests"
# What ctest takes for "skipped".
SKIPPED = 77
# Hypervisors that are not ours boot for ten seconds and more: the rows that are run there without --long. They take longer.
SAMPLE = {machine.XEN_PV: ("hello", "status", "killed", "trace", "script", "signals", "memory", "processes"),
          machine.KVM_SHADOW: ("script",)}
FOREIGN_FACTOR = 4
USUAL_MIB = 512


@dataclasses.dataclass
class Row:
    name: str
    program: str = ""
    command: list = dataclasses.field(default_factory=list)
    modes: list = dataclasses.field(default_factory=lambda: list(machine.MODES))
    not_in: list = dataclasses.field(default_factory=list)
    alone: bool = False
    last: bool = False
    memory: int = USUAL_MIB
    hide: list = dataclasses.field(default_factory=list)
    timeout: float = 60
    status: int = 0
    last_line: str | None = None
    prints: list = dataclasses.field(default_factory=list)
    linux: str = ""

    def seconds(self, mode):
        return self.timeout * (FOREIGN_FACTOR if mode in machine.FOREIGN_MODES else 1)

    def all_modes(self):
        """What is true natively is true on hypervisors that are not ours."""
        foreign = [mode for mode in machine.FOREIGN_MODES if "native" in self.modes and mode not in self.modes]
        return [mode for mode in self.modes + foreign if mode not in self.not_in]

    def has_own_boot(self):
        return self.alone or self.hide != [] or self.memory != USUAL_MIB

    def expected(self):
        """Where what it prints on Linux is kept."""
        return HERE / "expected" / f"{self.name}.txt"

    def arguments(self, program):
        """The command line, with the program at `program`."""
        return [program if part == "%program%" else part for part in self.command or ["%program%"]]


def rows():
    found = [Row(**row) for row in tomllib.loads((HERE / "rows.toml").read_text())["row"]]
    with_row = {row.program for row in found}
    found += [Row(path.stem, program=path.stem, linux="recorded") for path in sorted((HERE / "programs").glob("*.cc"))
              if path.stem not in with_row]
    names = [row.name for row in found]
    assert len(set(names)) == len(names), f"two rows have one name: {names}"
    shared = {row.name for row in found if not row.has_own_boot()}
    assert all(shared >= set(sample) for sample in SAMPLE.values()), "a row of the sample is gone, or has a boot of its own"
    return found


def run(row, mode, folder):
    """Boots `row` in `mode`; gives what is wrong, or nothing."""
    extra = [(PROGRAMS / row.program, f"/test/{row.program}")] if row.program else []
    boot = boots.make(folder, mode, row.arguments(f"/test/{row.program}"), extra=extra, guest_mib=row.memory,
                      hide=row.hide)
    try:
        result = launcher.run(machine.command(boot), boot.counters, row.seconds(mode), hidden=boot.hidden)
    except launcher.BootError as error:
        return [str(error)]
    wrong = check(row, result.console, result.status)
    if wrong:
        wrong.append("the console:\n" + result.console.decode(errors="replace").replace("\r", ""))
    return wrong


def lines_of(console):
    """The console's lines, without the kernel's own."""
    lines = console.decode(errors="replace").replace("\r", "").split("\n")
    return [line for line in lines if line and not line.startswith("nopte")]


def check(row, console, status):
    lines = lines_of(console)
    wrong = []
    if status != row.status:
        wrong.append(f"status {status}, expected {row.status}")
    if not console.strip():
        wrong.append("it printed nothing")
    if row.last_line is not None and (not lines or lines[-1] != row.last_line):
        wrong.append(f"the last line is {lines[-1] if lines else ''!r}, expected {row.last_line!r}")
    text = console.decode(errors="replace")
    wrong += [f"it did not print {part!r}" for part in row.prints if part not in text]
    if row.linux:
        wrong += compare_with_linux(row, lines)
    return wrong


def run_on_host(row):
    """The program's output on this machine. Raises UserError when it does not end as the row says."""
    try:
        done = subprocess.run(row.arguments(PROGRAMS / row.program), capture_output=True, timeout=row.timeout,
                              stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{row.name} did not end within {row.timeout:g} s on this machine") from error
    if done.returncode != row.status:
        raise UserError(f"{row.name} left with {done.returncode} on this machine, expected {row.status}")
    return done.stdout


def on_linux(row):
    if row.linux == "recorded":
        return row.expected().read_bytes()
    return run_on_host(row) if row.program else comparison.script_on_host().encode()


def compare_with_linux(row, lines):
    there = lines_of(on_linux(row))
    # The kernel's boot may have printed before the program did.
    got = lines[-len(there):] if there else []
    for number, (one, other) in enumerate(zip(got, there), start=1):
        if one != other:
            return [f"line {number} differs from Linux's: {one!r}, on Linux {other!r}"]
    return [] if got and len(got) == len(there) else [f"{len(lines)} lines, on Linux {len(there)}"]


def record():
    """Writes expected/ anew. Raises UserError at the first program that fails here; its file is as it was."""
    (HERE / "expected").mkdir(exist_ok=True)
    for row in rows():
        if row.linux == "recorded":
            row.expected().write_bytes(run_on_host(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print TEST SECONDS LABEL MODE ARGUMENT... for each boot of one row")
    parser.add_argument("--record", action="store_true", help="write expected/ anew, from this machine's Linux")
    parser.add_argument("mode", nargs="?", choices=machine.ALL_MODES)
    parser.add_argument("name", nargs="?")
    options = parser.parse_args()
    if options.list:
        for row in filter(Row.has_own_boot, rows()):
            for mode in row.all_modes():
                print(f"{mode}_{row.name} {row.seconds(mode):g} {'long' if mode in machine.FOREIGN_MODES else 'boot'} {mode} {row.name}")
        return 0
    if options.record:
        try:
            record()
        except UserError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    chosen = [row for row in rows() if row.name == options.name]
    if not chosen:
        parser.error(f"there is no row {options.name}")
    if why := boots.missing(options.mode):
        print(f"skipped: {why}")
        return SKIPPED
    try:
        with tempfile.TemporaryDirectory(prefix="nopte-test-") as folder:
            wrong = run(chosen[0], options.mode, pathlib.Path(folder))
    except UserError as error:
        wrong = [str(error)]
    for problem in wrong:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
