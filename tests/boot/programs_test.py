#!/usr/bin/python3
"""Debian's programs in the guest, as programs.toml lists them: one boot for each mode, the output as recorded on Linux.

programs_test.py --record [NAME...]: runs them on this machine's Linux, in the same tree of files (as root, by chroot), and
keeps what they print.
programs_test.py MODE [NAME...]: these in one boot, for whoever works on one. Those that take long are programs_long_test.py's."""

import functools
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import runner  # noqa: E402
import together  # noqa: E402
from runner import UserError, images, machine  # noqa: E402
from lib import programs  # noqa: E402

USUAL = ("native", "vma")


class Row(runner.Row):
    """A program as a row of a boot."""

    def __init__(self, program):
        super().__init__(program.name, command=program.arguments(), timeout=program.timeout, linux="recorded")
        self.of = program

    def expected(self):
        return self.of.expected_file()


def run(mode, chosen):
    """What is wrong, by program."""
    with tempfile.TemporaryDirectory(prefix="nopte-programs-") as folder:
        return together.run_together([Row(program) for program in chosen], mode, pathlib.Path(folder), extra=programs.extra(),
                                     tree=programs.tree(chosen), guest_mib=programs.GUEST_MIB)


def of(mode, long):
    """Those that tests/run runs in the mode, or those that --long adds: all others."""
    return [program for program in programs.load().values() if long == (program.long or not (program.everywhere or mode in USUAL))]


class Programs(unittest.TestCase):
    def check(self, mode, chosen):
        """Runs them in one boot; skipped where Debian's archive cannot be had."""
        try:
            programs.tree(chosen)
        except UserError as error:
            self.skipTest(f"Debian's archive cannot be had: {error}")
        wrong = run(mode, chosen)
        self.assertEqual(wrong, {}, "\n".join(f"{name}: " + "\n".join(problems) for name, problems in wrong.items()))


class ProgramsTest(Programs):
    """A method for each mode."""

    def run_mode(self, mode):
        self.check(mode, of(mode, long=False))


for _mode in machine.MODES:
    setattr(ProgramsTest, f"test_{_mode}", functools.partialmethod(ProgramsTest.run_mode, _mode))


def record(names):
    everything = [program for name, program in programs.load().items() if not names or name in names]
    with tempfile.TemporaryDirectory(prefix="nopte-record-") as folder:
        for program in everything:
            root = pathlib.Path(folder) / program.name
            shutil.copytree(programs.tree([program]), root, symlinks=True)
            _complete(root)
            subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
            subprocess.run(["mount", "-t", "devpts", "-o", "gid=5,mode=620,ptmxmode=666", "devpts", root / "dev" / "pts"], check=True)
            try:
                done = subprocess.run(["chroot", root, *program.arguments()], capture_output=True, timeout=program.timeout, check=False,
                                      env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/", "TERM": "vt100"}, stdin=subprocess.DEVNULL)
            finally:
                subprocess.run(["umount", root / "proc", root / "dev" / "pts"], check=True)
            if done.returncode != 0:
                raise UserError(f"{program.name} left with {done.returncode} on this machine: {done.stdout.decode()[-2000:]}")
            program.expected_file().write_bytes(done.stdout)
            shutil.rmtree(root)


def _complete(root):
    """What the guest has beside the packages' files."""
    (root / "dev").mkdir(exist_ok=True)
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("urandom", 1, 9), ("tty", 5, 0)):
        subprocess.run(["mknod", "-m", "666", root / "dev" / name, "c", str(major), str(minor)], check=True)
    (root / "dev" / "fd").symlink_to("/proc/self/fd")
    (root / "dev" / "ptmx").symlink_to("pts/ptmx")
    (root / "dev" / "pts").mkdir()
    (root / "dev" / "shm").mkdir(mode=0o1777)
    (root / "proc").mkdir(exist_ok=True)
    shutil.copytree(programs.FOLDER, root / programs.GUEST_FOLDER[1:])
    if not (root / "bin" / "busybox").exists():
        shutil.copy(images.BUSYBOX, root / "bin" / "busybox")
    if not (root / "bin" / "sh").exists():
        (root / "bin" / "sh").symlink_to("busybox")


def run_named(mode, names):
    """For whoever works on a program: what is wrong, printed."""
    known = programs.load()
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"there is no program {unknown[0]}", f"programs are {', '.join(known)}")
    wrong = run(mode, [known[name] for name in names or known])
    for name, problems in wrong.items():
        print(f"{mode} {name}: " + "\n".join(problems))
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(sys.argv[2:])
    else:
        images.prepare(build=False)
        if sys.argv[1:2] and sys.argv[1] in machine.ALL_MODES:
            sys.exit(run_named(sys.argv[1], sys.argv[2:]))
        unittest.main()
