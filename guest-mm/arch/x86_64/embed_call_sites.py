#!/usr/bin/env python3
"""Fills the .call_sites section of a linked image: every call whose target boot decides (call_sites.h).

The image is linked with its relocations kept. Each one that names a bound function must belong to a direct call or jump
with a 32-bit displacement, or lie in bind_calls() itself or in the hypercall backend's own tables, which only boot reads;
anything else is a use that patching would miss, and the image is refused. Relocations are taken out afterwards.
"""

import re
import struct
import subprocess
import sys

from embed_symbols import IMAGE_BASE, section

BOUND = re.compile(r"_ZN5nopte(7MmCalls|13PlatformCalls)\d|resolve_fault$")
NAMES_THEM = ("nopte::guest::bind_calls(", "nopte::pv::kOps", "nopte::pv::kPlatform")
CODE_SECTIONS = (".text", ".translation.text")
ROW = struct.Struct("<III")
HEAD = struct.Struct("<II")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def relocations(image):
    """(address, type, symbol, symbol's address, addend) of every relocation in what is loaded."""
    inside = False
    found = []
    for line in output("readelf", "--relocs", "--wide", image).splitlines():
        heading = re.match(r"Relocation section '\.rela(\S*)'", line)
        if heading:
            inside = not heading.group(1).startswith(".debug")
        fields = re.match(r"([0-9a-f]{16})\s+[0-9a-f]+\s+(\S+)\s+([0-9a-f]+)\s+(\S+) ([+-]) ([0-9a-f]+)$", line)
        if inside and fields:
            address, kind, value, symbol, sign, addend = fields.groups()
            found.append((int(address, 16), kind, symbol, int(value, 16), int(sign + addend, 16)))
    return found


def symbols(image):
    """(address, size, name) of functions and objects, in ascending order."""
    rows = []
    for line in output("nm", "--demangle", "--print-size", "--numeric-sort", image).splitlines():
        fields = re.match(r"([0-9a-f]{16}) ([0-9a-f]{16}) [a-zA-Z] (.*)", line)
        if fields:
            rows.append((int(fields.group(1), 16), int(fields.group(2), 16), fields.group(3)))
    return rows


def symbol_at(rows, address):
    return next((name for begin, size, name in rows if begin <= address < begin + size), f"{address:#x}")


def ends_in_a_displacement(code):
    """Is `code`, what stands before a displacement, that of call, jmp or jcc?"""
    return code[-1:] in (b"\xe8", b"\xe9") or (code[-2:-1] == b"\x0f" and 0x80 <= code[-1] <= 0x8F)


def sites(image, data, code_offsets):
    """Rows for the table, and complaints."""
    names = symbols(image)
    rows, wrong = [], []
    for address, kind, symbol, value, addend in relocations(image):
        if not BOUND.match(symbol):
            continue
        name = symbol_at(names, address)
        if name.startswith(NAMES_THEM):
            continue
        offset = next((at + address - begin for begin, size, at in code_offsets if begin <= address < begin + size), None)
        direct = offset is not None and kind in ("R_X86_64_PLT32", "R_X86_64_PC32") and addend == -4
        if direct and ends_in_a_displacement(data[offset - 2:offset]):
            rows.append((address - IMAGE_BASE, value - IMAGE_BASE, "PlatformCalls" in symbol))
        else:
            wrong.append(f"{name}: refers to {symbol} by {kind}, which is no direct call")
    return rows, wrong


def segment_flags(image):
    """Where the flags of each loadable segment lie in the file, by address: address → (offset, flags)."""
    with open(image, "rb") as file:
        data = file.read()
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    found = {}
    for header in range(table, table + size * count, size):
        kind, flags = struct.unpack_from("<II", data, header)
        if kind == 1:
            found[struct.unpack_from("<Q", data, header + 16)] = (header + 4, flags)
    return found


def drop_relocations(image):
    # objcopy makes the segments' flags anew and forgets those that mark the translation layer.
    before = segment_flags(image)
    subprocess.run(["objcopy", "--remove-relocations=*", image], check=True)
    after = segment_flags(image)
    assert before.keys() == after.keys(), "objcopy moved a segment"
    with open(image, "r+b") as file:
        for address, (offset, _) in after.items():
            file.seek(offset)
            file.write(struct.pack("<I", before[address][1]))


def main():
    image = sys.argv[1]
    offset, room = section(image, ".call_sites")
    with open(image, "rb") as file:
        data = file.read()
    code = []
    for line in output("readelf", "--sections", "--wide", image).splitlines():
        fields = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)\s+([0-9a-f]+)", line)
        if fields and fields.group(1) in CODE_SECTIONS:
            code.append((int(fields.group(2), 16), int(fields.group(4), 16), int(fields.group(3), 16)))
    rows, wrong = sites(image, data, code)
    if wrong:
        sys.exit(f"{image}: calls that boot cannot patch:\n  " + "\n  ".join(wrong))
    if not rows:
        sys.exit(f"{image}: no call sites: linked without --emit-relocs?")
    table = HEAD.pack(len(rows), 0) + b"".join(ROW.pack(*row) for row in sorted(rows))
    if len(table) > room:
        sys.exit(f"{image}: {len(rows)} call sites, room for {(room - HEAD.size) // ROW.size}: raise kMostSites")
    with open(image, "r+b") as file:
        file.seek(offset)
        file.write(table)
    drop_relocations(image)


if __name__ == "__main__":
    main()
