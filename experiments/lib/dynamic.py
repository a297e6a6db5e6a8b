"""Which files a dynamic program needs beside its own: its interpreter and its libraries, as this machine has them."""

import re
import struct
import subprocess

from .errors import UserError

_PT_INTERP = 3
_FOUND = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def has_interpreter(path):
    """Whether the file is a 64-bit ELF program with a PT_INTERP header. Its headers need not be good: then it has none."""
    try:
        with open(path, "rb") as file:
            header = file.read(64)
            if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
                return False
            offset, size, count = struct.unpack_from("<Q", header, 32)[0], *struct.unpack_from("<HH", header, 54)
            file.seek(offset)
            table = file.read(size * count)
    except (OSError, ValueError):
        return False
    if size < 4:
        return False
    return any(struct.unpack_from("<I", table, at)[0] == _PT_INTERP for at in range(0, len(table) - size + 1, size))


def libraries(path):
    """The absolute paths of what a program on this machine is linked with; none of a static one. A library that is missing
    here is left out: its name is said in the guest, by the program's interpreter."""
    if not has_interpreter(path):
        return []
    try:
        done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"{path} is dynamic, and its libraries cannot be listed: ldd: {error.strerror}") from error
    return _FOUND.findall(done.stdout)
