"""The guest's files: busybox and its applets, the workloads, and what the user adds with --with, a
dynamic program's libraries included."""

import os
import pathlib
import stat
import subprocess

from . import cpio, dynamic, images
from .errors import UserError

# Users and groups that programs expect everywhere, as Debian numbers them.
_PASSWD = b"""root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = b"root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nusers:x:100:\nnogroup:x:65534:\n"
_PROFILE = b"export PATH=/bin HOME=/root PS1='# '\n"

# Where programs are looked for, as the kernel's PATH says for its first one.
_FOLDERS = ("bin", "sbin", "usr/bin", "usr/sbin")
# Where Debian has what its kernel was built with; the release is guest-mm/kernel/system/name_of_system.h's.
_CONFIG = "boot/config-6.12.0-nopte"
_DEVICES = (("console", 5, 1), ("tty", 5, 0), ("null", 1, 3), ("zero", 1, 5))


def build(extra=(), tree=None, own=True):
    """The archive; `extra` holds (host path, guest path) pairs. `tree`: a folder whose files come first, as they are there.
    `own`: busybox and the workloads too, where the tree has nothing of that name."""
    archive = cpio.Archive()
    if tree is not None:
        _add_tree(archive, pathlib.Path(tree), "")
    for folder in ("bin", "dev", "etc", "proc", "root"):
        archive.folder(folder)
    archive.folder("tmp", 0o1777)
    if not archive.holds(_CONFIG):
        archive.file(_CONFIG, (images.ROOT / "guest-mm/kernel/config").read_bytes())
    if own:
        _add_own(archive)
    for host, guest in extra:
        _add(archive, host, guest)
    for host, _ in extra:
        for library in dynamic.libraries(host):
            if not archive.holds(library):
                _add(archive, library, library)
    return archive


def _add_own(archive):
    for name, major, minor in _DEVICES:
        if not archive.holds(f"dev/{name}"):
            archive.device(f"dev/{name}", major, minor)
    for name, text in (("passwd", _PASSWD), ("group", _GROUP), ("profile", _PROFILE)):
        if not archive.holds(f"etc/{name}"):
            archive.file(f"etc/{name}", text)
    if not archive.holds("bin/busybox"):
        archive.file("bin/busybox", images.BUSYBOX.read_bytes(), 0o755)
    for applet in applets():
        if found(archive, applet) is None:
            archive.symlink(f"bin/{applet}", "busybox")
    archive.file("bin/mmlat", images.MMLAT.read_bytes(), 0o755)
    archive.file("bin/mmlat-exit", images.MMLAT_EXIT.read_bytes(), 0o755)
    archive.file("script.sh", (images.WORKLOADS / "script.sh").read_bytes(), 0o755)


def found(archive, program):
    """The path of a program that is given by its name alone; None: there is none."""
    return next((f"/{folder}/{program}" for folder in _FOLDERS if archive.holds(f"{folder}/{program}")), None)


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


def _add_tree(archive, host, guest):
    """Adds what lies in the folder, links as links: their targets are the guest's."""
    try:
        with os.scandir(host) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            path, status = f"{guest}/{entry.name}", entry.stat(follow_symlinks=False)
            mode = status.st_mode
            if stat.S_ISDIR(mode):
                archive.folder(path, stat.S_IMODE(mode))
                _add_tree(archive, pathlib.Path(entry.path), path)
            elif stat.S_ISLNK(mode):
                archive.symlink(path, os.readlink(entry.path))
            elif stat.S_ISREG(mode):
                archive.file(path, pathlib.Path(entry.path).read_bytes(), stat.S_IMODE(mode))
            elif stat.S_ISCHR(mode):
                archive.device(path, os.major(status.st_rdev), os.minor(status.st_rdev), stat.S_IMODE(mode))
    except OSError as error:
        raise UserError(f"{error.filename or host}: {error.strerror}", "if it is another user's, run this as root") from error
