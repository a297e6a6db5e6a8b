#!/usr/bin/env python3
"""Fills the .symbols section of a linked image with its functions' names (symbols.cc has the layout)."""

import re
import struct
import subprocess
import sys

IMAGE_BASE = 0xFFFFFFFF80000000
MAGIC = 0x626D7973
MAX_NAME = 80


def section(image, name):
    listing = subprocess.run(["readelf", "-SW", image], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        fields = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+[0-9a-f]+\s+([0-9a-f]+)\s+([0-9a-f]+)", line)
        if fields and fields.group(1) == name:
            return int(fields.group(2), 16), int(fields.group(3), 16)
    sys.exit(f"{image}: no section {name}")


def functions(image):
    listing = subprocess.run(
        ["nm", "--demangle", "--print-size", "--numeric-sort", image], check=True, capture_output=True, text=True
    ).stdout
    seen = set()
    for line in listing.splitlines():
        fields = re.match(r"([0-9a-f]{16}) ([0-9a-f]{16}) [tTwW] (.*)", line)
        if not fields or int(fields.group(1), 16) in seen:
            continue
        seen.add(int(fields.group(1), 16))
        name = re.sub(r"\(anonymous namespace\)::", "", fields.group(3)).replace("nopte::", "")
        yield int(fields.group(1), 16), int(fields.group(2), 16), name.split("(")[0][:MAX_NAME]


def main():
    image = sys.argv[1]
    offset, room = section(image, ".symbols")
    rows = list(functions(image))
    names = b""
    table = struct.pack("<II", MAGIC, len(rows))
    names_begin = len(table) + 16 * len(rows)
    for address, size, name in rows:
        encoded = name.encode()
        table += struct.pack("<IIII", address - IMAGE_BASE, size, names_begin + len(names), len(encoded))
        names += encoded
    if len(table) + len(names) > room:
        sys.exit(f"{image}: {len(table) + len(names)} bytes of symbols, room for {room}: raise kTableBytes")
    with open(image, "r+b") as file:
        file.seek(offset)
        file.write(table + names)


if __name__ == "__main__":
    main()
