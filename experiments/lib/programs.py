"""Debian's programs, unmodified, in the guest: experiments/workloads/programs.toml. What each must print was recorded on Linux."""

import dataclasses
import functools
import tomllib

from . import images, package_tree

# The usual whole program, which needs no packages.
SCRIPT = "script"
SCRIPT_TITLE = "busybox script"

LIST = images.WORKLOADS / "programs.toml"
FOLDER = images.WORKLOADS / "programs"
# Where FOLDER's files lie in the guest.
GUEST_FOLDER = "/programs"
GUEST_MIB = 1024


@dataclasses.dataclass
class Program:
    name: str
    title: str
    packages: list
    command: list
    everywhere: bool = False
    long: bool = False
    timeout: float = 60

    def arguments(self):
        """Its command line, with an empty input and a pipe for what it prints."""
        return ["/bin/busybox", "sh", "-c", 'set -o pipefail; "$@" </dev/null 2>&1 | cat', self.name, *self.command]

    def expected(self):
        """What it prints on Linux, as bytes."""
        return self.expected_file().read_bytes()

    def expected_file(self):
        return FOLDER / f"{self.name}.txt"


def titles():
    """Name → title of every whole program."""
    return {SCRIPT: SCRIPT_TITLE} | {program.name: program.title for program in load().values()}


@functools.cache
def load():
    """Name → Program, in the list's order."""
    return {row["name"]: Program(**row) for row in tomllib.loads(LIST.read_text())["program"]}


def tree(programs):
    """The folder with the files of all packages that they need. Raises UserError where the archive cannot be had."""
    return package_tree.tree(sorted({name for program in programs for name in program.packages}))


def extra():
    """What a boot needs beside the tree: initramfs.build's."""
    return [(FOLDER, GUEST_FOLDER)]
