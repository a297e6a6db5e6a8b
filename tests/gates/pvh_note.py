#!/usr/bin/env python3
"""pvh_note.py IMAGE: what QEMU needs to find where the image begins. An image without it is removed.

QEMU reads the PVH note from a segment of alignment 4. In one of alignment 8, which a note of the compiler's
(.note.gnu.property) makes of it, QEMU does not find the note and enters at address 0 without a word.
"""

import pathlib
import struct
import sys

PT_NOTE = 4
NOTE_ALIGNMENT = 4
PVH_ENTRY = ("Xen", 18)  # XEN_ELFNOTE_PHYS32_ENTRY


def segments(image):
    """(type, file offset, bytes in the file, alignment) of each program header of a 64-bit ELF file."""
    offset, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    for at in range(offset, offset + size * count, size):
        kind, _, begin, _, _, length, _, alignment = struct.unpack_from("<IIQQQQQQ", image, at)
        yield kind, begin, length, alignment


def notes(data):
    """(name, type) of each note in a segment of alignment 4."""
    at = 0
    while at + 12 <= len(data):
        name_bytes, description_bytes, kind = struct.unpack_from("<III", data, at)
        name = data[at + 12:at + 12 + name_bytes].rstrip(b"\0").decode(errors="replace")
        at += 12 + (name_bytes + 3) // 4 * 4 + (description_bytes + 3) // 4 * 4
        yield name, kind


def problems(image):
    found = []
    names = []
    for kind, begin, length, alignment in segments(image):
        if kind != PT_NOTE:
            continue
        if alignment != NOTE_ALIGNMENT:
            found.append(f"a note segment has alignment {alignment}, QEMU reads {NOTE_ALIGNMENT}")
        names += notes(image[begin:begin + length])
    if names.count(PVH_ENTRY) != 1:
        found.append(f"{names.count(PVH_ENTRY)} PVH entry notes, QEMU takes one")
    found += [f"a note of the compiler's, {name} {kind}: discard it" for name, kind in names if name == "GNU"]
    return found


def main():
    path = pathlib.Path(sys.argv[1])
    found = problems(path.read_bytes())
    for problem in found:
        print(f"{path.name}: {problem}", file=sys.stderr)
    if found:
        path.unlink()
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
