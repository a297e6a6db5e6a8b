"""Writes a cpio archive in the "newc" format (SVR4, no checksum), the same bytes for the same input.

Every entry has owner root, time 0 and an inode number of its own; entries keep the order in which they were
added, and folders that an entry needs come before it. Format: cpio(5), "New ASCII Format".
"""

import posixpath
import stat

from .errors import UserError

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_LARGEST_FILE = 0xFFFFFFFF
_HEADER_BYTES = 110
_PAGE = 4096
# With what ends it: PATH_MAX.
_LONGEST_NAME = 4096
# On the way to a file, as on Linux.
_MOST_LINKS = 40


class Archive:
    def __init__(self):
        self._entries = {}

    def folder(self, path, mode=0o755):
        """Adds a folder and the folders above it; one that is there already is kept, and so is a link to one."""
        path = self._place(path)
        if not path or self._is_link(path):
            return
        if path in self._entries:
            if not stat.S_ISDIR(self._entries[path][0]):
                raise UserError(f"{path} in the initramfs is a file and a folder")
            return
        self._entries[path] = (stat.S_IFDIR | mode, b"", 0, 0)

    def file(self, path, data, mode=0o644):
        """Adds a file, or replaces the one that is there."""
        if len(data) > _LARGEST_FILE:
            raise UserError(f"{path} is larger than 4 GiB, which an initramfs cannot hold")
        self._add(path, stat.S_IFREG | mode, data)

    def symlink(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor, mode=0o666):
        self._add(path, stat.S_IFCHR | mode, b"", major, minor)

    def holds(self, path):
        """Whether that file, folder or link is there; links to folders on the way are followed."""
        path = self._followed(path)
        return not path or path in self._entries

    def bytes(self):
        parts, length = [], 0
        for inode, (path, (mode, data, major, minor)) in enumerate(self._entries.items(), start=1):
            # Contents of more than a page begin at one, so that the guest need not copy them.
            entry = _entry(path, inode, mode, data, major, minor, length if len(data) > _PAGE else None)
            parts += entry
            length += sum(map(len, entry))
        parts += _entry(_TRAILER, 0, 0, b"", 0, 0)
        parts.append(bytes(-sum(map(len, parts)) % 512))
        return b"".join(parts)

    def _add(self, path, mode, data, major=0, minor=0):
        path = self._place(path)
        if not path:
            raise UserError("the initramfs' root is a folder")
        if path in self._entries and stat.S_ISDIR(self._entries[path][0]):
            raise UserError(f"{path} in the initramfs is a file and a folder")
        self._entries[path] = (mode, data, major, minor)

    def _place(self, path):
        """Where `path` lies, its folders being there."""
        path = self._followed(path)
        parent = path.rpartition("/")[0]
        if parent:
            self.folder(parent)
        return path

    def _is_link(self, path):
        return path in self._entries and stat.S_ISLNK(self._entries[path][0])

    def _followed(self, path):
        """`path` inside the archive, the links among its folders followed as far as they are in it."""
        rest, place = _inside(path).split("/"), ""
        for _ in range(_MOST_LINKS + len(rest)):
            here = f"{place}/{rest[0]}" if place else rest[0]
            if len(rest) == 1:
                return here
            if self._is_link(here):
                target = self._entries[here][1].decode()
                rest = _inside(_joined("" if target.startswith("/") else place, target)).split("/") + rest[1:]
                place = ""
            else:
                place, rest = here, rest[1:]
        raise UserError(f"{path} in the initramfs: too many links on the way")


def _joined(folder, target):
    """`target` seen from `folder`, its ".." resolved."""
    return posixpath.normpath(f"/{folder}/{target}")


def _inside(path):
    """`path` relative to the archive's root, without empty, "." and ".." parts."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UserError(f"{path} leaves the initramfs", "give a guest path without '..'")
    return "/".join(parts)


def _entry(path, inode, mode, data, major, minor, offset=None):
    """`offset`: where the entry will lie, if its data is to begin at a page. Zeros behind the name bring it there, where a
    name may be so long."""
    name = path.encode() + b"\0"
    padded = len(name) + (-(offset + _HEADER_BYTES + len(name)) % _PAGE if offset is not None else 0)
    if padded <= _LONGEST_NAME:
        name += bytes(padded - len(name))
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return header + bytes(-len(header) % 4), data, bytes(-len(data) % 4)
