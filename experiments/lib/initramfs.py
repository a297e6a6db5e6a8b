"""The guest's files: busybox and its applets, the workloads, and what the user adds with --with, a
dynamic program's libraries included."""

import os
import pathlib
import stat
import subprocess

from . import cpio, dynamic, images
from .errors import UserError

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"
_GROUP = b"root:x:0:\n"
_PROFILE = b"export PATH=/bin HOME=/root PS1='# '\n"

_DEVICES = (("console", 5, 1), ("tty", 5, 0), ("null", 1, 3), ("zero", 1, 5))


def build(extra=()):
    """The archive's bytes; `extra` holds (host path, guest path) pairs."""
    archive = cpio.Archive()
    for folder in ("bin", "dev", "etc", "proc", "root"):
        archive.folder(folder)
    archive.folder("tmp", 0o1777)
    for name, major, minor in _DEVICES:
        archive.device(f"dev/{name}", major, minor)
    archive.file("etc/passwd", _PASSWD)
    archive.file("etc/group", _GROUP)
    archive.file("etc/profile", _PROFILE)
    archive.file("bin/busybox", images.BUSYBOX.read_bytes(), 0o755)
    for applet in applets():
        archive.symlink(f"bin/{applet}", "busybox")
    archive.file("bin/mmlat", images.MMLAT.read_bytes(), 0o755)
    archive.file("bin/mmlat-exit", images.MMLAT_EXIT.read_bytes(), 0o755)
    archive.file("script.sh", (images.WORKLOADS / "script.sh").read_bytes(), 0o755)
    for host, guest in extra:
        _add(archive, host, guest)
    for host, _ in extra:
        for library in dynamic.libraries(host):
            if not archive.holds(library):
                _add(archive, library, library)
    return archive.bytes()


def applets():
    """The names that busybox answers to, other than its own."""
    try:
        listed = subprocess.run([images.BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"{images.BUSYBOX} --list failed: {error}",
                        "install Debian's busybox-static") from error
    return [name for name in listed.stdout.split() if name != "busybox"]


def parse_with(argument):
    """HOST[:GUEST] as a pair; GUEST is /NAME unless given."""
    host, _, guest = argument.partition(":")
    path = pathlib.Path(host)
    if not path.exists():
        raise UserError(f"--with {argument}: {host} does not exist")
    return path, guest or "/" + path.resolve().name


def _add(archive, host, guest):
    mode = os.lstat(host).st_mode
    try:
        if stat.S_ISDIR(mode):
            archive.folder(guest, stat.S_IMODE(mode))
            for name in sorted(os.listdir(host)):
                _add(archive, pathlib.Path(host) / name, f"{guest}/{name}")
        elif stat.S_ISLNK(mode) and not pathlib.Path(host).exists():
            archive.symlink(guest, os.readlink(host))
        elif pathlib.Path(host).is_file():
            path = pathlib.Path(host)
            archive.file(guest, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        elif pathlib.Path(host).is_dir():
            # A link to a folder inside an added folder stays a link: following it could go in circles.
            archive.symlink(guest, os.readlink(host))
        else:
            raise UserError(f"--with {host}: neither a file, a folder nor a link")
    except OSError as error:
        raise UserError(f"--with {host}: {error.strerror}") from error
