"""Writes the hypervisor's bundle: guest image and initramfs in one module, because QEMU hands over one.

The layout is hv-mm/bundle.h's: a header, a table of entries, then each payload at a page boundary.
"""

import struct

from .errors import UserError

MAGIC = b"NOPTEBUN"
VERSION = 1
PAGE = 4096
NAME_BYTES = 16

_HEADER = struct.Struct("<8sII")
_ENTRY = struct.Struct(f"<{NAME_BYTES}sQQ")


def build(parts):
    """The bundle's bytes; `parts` is a list of (name, bytes)."""
    names = [name for name, _ in parts]
    if len(set(names)) != len(names):
        raise UserError(f"two parts of the bundle have one name: {', '.join(names)}")
    offset = _round_up(_HEADER.size + _ENTRY.size * len(parts))
    table = bytearray(_HEADER.pack(MAGIC, VERSION, len(parts)))
    body, length = [], 0
    for name, data in parts:
        encoded = name.encode()
        if not encoded or len(encoded) >= NAME_BYTES:
            raise UserError(f"{name}: a part's name has 1 to {NAME_BYTES - 1} bytes")
        table += _ENTRY.pack(encoded, offset + length, len(data))
        length += _round_up(len(data))
        body += [data, bytes(_round_up(len(data)) - len(data))]
    return b"".join([table, bytes(offset - len(table)), *body])


def parse(data):
    """The parts of a bundle as a list of (name, bytes); for tests and for looking at one."""
    if len(data) < _HEADER.size:
        raise UserError("the bundle is shorter than its header")
    magic, version, count = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise UserError(f"not a bundle of version {VERSION}")
    if _HEADER.size + count * _ENTRY.size > len(data):
        raise UserError("the bundle ends inside its table")
    parts = []
    for index in range(count):
        name, offset, size = _ENTRY.unpack_from(data, _HEADER.size + index * _ENTRY.size)
        if offset % PAGE != 0 or offset + size > len(data):
            raise UserError(f"part {index} of the bundle lies outside it")
        parts.append((name.rstrip(b"\0").decode(), data[offset:offset + size]))
    return parts


def _round_up(size):
    return (size + PAGE - 1) // PAGE * PAGE
