#!/usr/bin/python3
"""Debian's programs in the guest, as packages.toml lists them: one boot for each mode, the output as recorded on Linux.

packages_test.py --record [ROW...]: runs them on this machine's Linux, in the same tree of files (as root, by chroot), and
keeps what they print in packages/."""

import dataclasses
import functools
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import runner  # noqa: E402
import together  # noqa: E402
from runner import UserError, images, machine  # noqa: E402
from lib import package_tree  # noqa: E402

FOLDER = HERE / "packages"
GUEST_MIB = 1024
_USUAL = ("native", "vma")


@dataclasses.dataclass
class Row(runner.Row):
    packages: list = dataclasses.field(default_factory=list)
    everywhere: bool = False
    linux: str = "recorded"

    def arguments(self, program=""):
        return ["/bin/sh", "-c", '"$@" </dev/null 2>&1 | cat', "row", *self.command]

    def expected(self):
        return FOLDER / f"{self.name}.txt"


def rows():
    return [Row(**row) for row in tomllib.loads((HERE / "packages.toml").read_text())["row"]]


@functools.cache
def tree():
    return package_tree.tree(sorted({name for row in rows() for name in row.packages}))


class PackagesTest(unittest.TestCase):
    """A method for each mode."""


    def run_mode(self, mode):
        try:
            files = tree()
        except UserError as error:
            self.skipTest(f"Debian's archive cannot be had: {error}")
        chosen = [row for row in rows() if row.everywhere or mode in _USUAL]
        with tempfile.TemporaryDirectory(prefix="nopte-packages-") as folder:
            wrong = together.run_together(chosen, mode, pathlib.Path(folder), extra=[(FOLDER, "/test")], tree=files,
                                          guest_mib=GUEST_MIB)
        self.assertEqual(wrong, {}, "\n".join(f"{name}: " + "\n".join(problems) for name, problems in wrong.items()))


for _mode in machine.MODES:
    setattr(PackagesTest, f"test_{_mode}", functools.partialmethod(PackagesTest.run_mode, _mode))


def record(names):
    with tempfile.TemporaryDirectory(prefix="nopte-record-") as folder:
        root = pathlib.Path(folder) / "root"
        shutil.copytree(tree(), root, symlinks=True)
        for name, major, minor in (("null", 1, 3), ("zero", 1, 5)):
            (root / "dev").mkdir(exist_ok=True)
            subprocess.run(["mknod", "-m", "666", root / "dev" / name, "c", str(major), str(minor)], check=True)
        (root / "dev" / "fd").symlink_to("/proc/self/fd")
        (root / "proc").mkdir(exist_ok=True)
        shutil.copytree(FOLDER, root / "test")
        if not (root / "bin" / "sh").exists():
            (root / "bin" / "sh").symlink_to("busybox")
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        try:
            for row in rows():
                if names and row.name not in names:
                    continue
                done = subprocess.run(["chroot", root, *row.arguments()], capture_output=True, timeout=row.timeout, check=False,
                                      env={"PATH": "/bin:/sbin:/usr/bin:/usr/sbin", "HOME": "/", "TERM": "vt100"}, stdin=subprocess.DEVNULL)
                if done.returncode != 0:
                    raise UserError(f"{row.name} left with {done.returncode} on this machine: {done.stdout.decode()[-2000:]}")
                row.expected().write_bytes(done.stdout)
        finally:
            subprocess.run(["umount", root / "proc"], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(sys.argv[2:])
    else:
        images.prepare(build=False)
        unittest.main()
