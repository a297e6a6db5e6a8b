"""Where random programs are played: this machine's Linux, Debian's kernel in QEMU, and the guest. Each has a `name`, a Linux its `version`, and a
play(programs, seen), which answers program → its digest, or with TRACE or RAW the list of its lines."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import generator
import known

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, images, launcher, linux, packages, peers  # noqa: E402
from lib.errors import UserError  # noqa: E402

PLAYER = images.PROGRAMS / "oracle_player"
# Kernels that agree about all that is generated, or whose differences are in papers/linux.md.
KNOWN = ("6.1.", "6.12.", "6.18.")
# What play() is asked for: digests, or lines; the last without steps around what is known to differ.
DIGEST, TRACE, RAW = (), ("--trace",), ("--raw",)
DONE = "oracle_player: done"
# Where files are tmpfs's, as all are in the guest.
TMPFS = "/dev/shm"
GUEST_MIB = 256
# Debian's kernel unpacks its files into memory, and takes some 100 MiB itself.
DEBIAN_MIB = 512
_DIGEST = re.compile(r"(\S+) ([0-9a-f]{16})")


class Host:
    """This machine's Linux."""

    def __init__(self):
        self.name = f"Linux {os.uname().release}"
        self.version = known.version_of(os.uname().release)

    @staticmethod
    def is_known():
        return os.uname().release.startswith(KNOWN)

    def play(self, programs, seen):
        with tempfile.TemporaryDirectory(prefix="nopte-oracle-", dir=TMPFS) as folder:
            listed = pathlib.Path(folder) / "programs"
            listed.write_text(generator.text(programs))
            try:
                done = subprocess.run([PLAYER, listed, folder, *seen], capture_output=True, text=True, check=False,
                                      timeout=60 + len(programs) / 10, stdin=subprocess.DEVNULL)
            except subprocess.TimeoutExpired as error:
                raise UserError("the player did not end on this machine") from error
        return parse(done.stdout, seen)


class _Booted:
    """Played in a QEMU: what was printed until the machine ended, however it did; what is missing differs."""

    command = ("/test/oracle_player", "/test/programs", "/tmp")

    def __init__(self, name, timeout):
        self.name, self.timeout = name, timeout

    def play(self, programs, seen):
        with tempfile.TemporaryDirectory(prefix="nopte-oracle-") as name:
            folder = pathlib.Path(name)
            (folder / "list").write_text(generator.text(programs))
            extra = [(PLAYER, "/test/oracle_player"), (folder / "list", "/test/programs")]
            boot = self.boot(folder, [*self.command, *seen], extra)
            try:
                console = launcher.run(machine.command(boot), boot.counters, self.timeout, hidden=boot.hidden).console
            except launcher.BootError as error:
                print(error, file=sys.stderr)
                console = error.console
        return parse(console.decode(errors="replace").replace("\r", ""), seen)


class Debian(_Booted):
    """Debian's kernel on the one emulated machine, as peers boots it."""

    def __init__(self, timeout):
        version = packages.version(packages.fetch(linux.PACKAGE)).split()[-1]
        super().__init__(f"Debian's Linux {version}", timeout)
        self.version = known.version_of(version)

    def boot(self, folder, command, extra):
        files = [(guest.lstrip("/"), host, 0o755) for host, guest in extra]
        return peers.linux_boot(folder, peers.archive({"oracle": command}, files), DEBIAN_MIB)


class Guest(_Booted):
    """The guest in a mode."""

    def __init__(self, mode, timeout):
        super().__init__(f"the guest, {mode}", timeout)
        self.mode = mode

    def boot(self, folder, command, extra):
        return boots.make(folder, self.mode, command, extra=extra, guest_mib=GUEST_MIB)


def parse(printed, seen):
    """What the player printed; without the last program's lines when it did not come to its end."""
    if seen == DIGEST:
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
