"""What is known to differ between Linux and the guest, or between Linux's versions, in what random programs do. Each row says so
to people (papers/linux.md has these lines), how programs are kept from it, and by a `witness` that it still is so: a program
that is played as it is, and must see something else on the Linuxes that the row is of, and the same on others (oracle.py
--known). A row that is mended fails there, until it is taken out with what it left out.

Where `leave_out` is empty the player itself steps around it, unless it is told not to (--raw; `is_raw` in operations.h).
"""

import dataclasses
import pathlib
import re

import generator
from generator import ANONYMOUS, FIXED, NOREPLACE, PRIVATE

PAPER = pathlib.Path(__file__).resolve().parents[2] / "papers" / "linux.md"
# How the last column of its lines there begins.
_MARK = "oracle: "


def _always(_version):
    return True


def _since(*version):
    return lambda judge: judge >= version


def _before(*version):
    return lambda judge: judge < version


@dataclasses.dataclass(frozen=True)
class Known:
    name: str
    call: str
    linux: str
    guest: str
    why: str
    witness: tuple  # operations, as the player reads them, with no actor: all are the first one's
    differs: object = _always  # Linux's version, as (6, 12) → whether the guest is not as that
    leave_out: dict = dataclasses.field(default_factory=dict)  # operation → a function of its numbers: others instead

    def line(self):
        """Of papers/linux.md."""
        return f"| {self.call} | {self.linux} | {self.guest} | {self.why} | {_MARK}{self.name} |"

    def program(self):
        return generator.parse("= it\n" + "".join(f"0 {line}\n" for line in self.witness))["it"]


def _several(numbers):
    old, _, _, flags, new = numbers
    return [old, 1, 1, flags, old + 1 if flags & 6 and old == new else new] if flags & 6 else numbers


def _errors(numbers):
    old, old_pages, new_pages, flags, new = numbers
    if flags & 6:
        old_pages = max(old_pages, 1)
    if flags & 4:
        old_pages = new_pages = 1
    if flags & 6 and new < old + old_pages and old < new + new_pages:
        new = old + old_pages
    return [old, old_pages, new_pages, flags, new]


def _growing(numbers):
    old, old_pages, new_pages, flags, new = numbers
    if old_pages > 1:
        new_pages = old_pages if flags & 2 else min(old_pages, new_pages)
    return [old, old_pages, new_pages, flags, new]


def _file_code(numbers):
    return numbers if numbers[3] & ANONYMOUS else [*numbers[:2], numbers[2] & ~4, *numbers[3:]]


def _address_0(numbers):
    return [*numbers[:3], numbers[3] & ~(FIXED | NOREPLACE), *numbers[4:]] if numbers[0] < 0 else numbers


def _one_page(numbers):
    return [numbers[0], min(numbers[1], 1), numbers[2]] if numbers[2] in (22, 23) else numbers


# What witnesses begin with: a page without and with contents, and a file of two pages.
_RW = f"3 {PRIVATE | ANONYMOUS | FIXED} -1 0"
_FILE = ("memfd 0 2", "ftruncate 0 8192")

MEMORY = (
    Known("free", "madvise(MADV_FREE)", "pages go when memory is short", "they go at once", "one of the two things that a program must expect",
          (f"mmap 0 1 {_RW}", "fill 0 1 7", "madvise 0 1 8", "sum 0 1")),
    Known("mremap-fails", "mremap(MREMAP_FIXED) that fails", "6.12: its target is unmapped, and what was to be cut off; 6.17: nothing is",
          "as 6.12", "the pinned version", (f"mmap 0 1 {_RW}", f"mmap 8 2 {_RW}", "mremap 0 2 3 3 8", "maps"), _since(6, 17)),
    Known("mremap-grows", "mremap of several mappings that grow",
          "EFAULT; what was written before decides which are several (anon_vma)", "moves them", "regions merge by what they promise",
          (f"mmap 0 1 {_RW}", "fill 0 1 1", f"mmap 2 1 {_RW}", "fill 2 1 1", f"mmap 1 1 {_RW}", "mremap 0 3 4 1 0"),
          leave_out={"mremap": _growing}),
    Known("mremap-errors", "mremap with several errors; MREMAP_DONTUNMAP of several mappings", "6.17 checks in another order, and moves several",
          "as 6.12", "the pinned version", (f"mmap 0 4 {_RW}", "mprotect 1 1 1", "mremap 0 3 3 7 8"), _since(6, 17), {"mremap": _errors}),
    Known("mremap-several", "mremap of several mappings", "before 6.17: EFAULT", "as 6.17", "the newer",
          (f"mmap 0 4 {_RW}", "mprotect 1 1 1", "mremap 0 3 3 3 8"), _before(6, 17), {"mremap": _several}),
    Known("populate-hole", "madvise(MADV_POPULATE_*) of a hole and of pages that forbid it", "before 6.10: EINVAL", "ENOMEM, as 6.12", "the newer",
          (f"mmap 6 3 2 {PRIVATE | ANONYMOUS | FIXED} -1 0", "madvise 5 10 22"), _before(6, 10), {"madvise": _one_page}),
    Known("file-code", "mmap(PROT_EXEC) of a file", "EPERM where it is mounted noexec; 6.18: a pipe's is", "allowed; a pipe is ENODEV, as in 6.12",
          "there is no noexec", ("pipe 0 1", f"mmap 0 1 5 {PRIVATE | FIXED} 0 0"), _since(6, 13), {"mmap": _file_code}),
    Known("address-0", "mmap(MAP_FIXED) at address 0", "allowed with CAP_SYS_RAWIO", "EPERM",
          "user addresses begin at 64 KiB on both sides of the ABI, and a null pointer of the kernel faults",
          (f"mmap -1 1 {_RW}",), leave_out={"mmap": _address_0}),
    Known("neighbours", "neighbours in /proc/PID/maps", "are one mapping or several, by what was written (anon_vma)",
          "one when they promise the same and came into the process by the same fork", "as above",
          (f"mmap 0 1 {_RW}", "fill 0 1 1", f"mmap 2 1 {_RW}", "fill 2 1 1", f"mmap 1 1 {_RW}", "maps")),
)
FILES = (
    Known("write-behind", "write behind the end of a file, its buffer bad",
          "6.18: EFAULT, and the file ends where the write began; 6.12: as before", "as 6.12", "the pinned version",
          (*_FILE, "pwrite 0 40 0 1 10000", "lseek 0 0 2"), _since(6, 13)),
    Known("write-sealed", "write that a seal forbids, its buffer bad", "6.1: EFAULT; 6.18: EPERM", "EPERM", "both hold",
          (*_FILE, "seal 0 4", "pwrite 0 40 0 4096 8192"), _before(6, 13)),
)
ALL = MEMORY + FILES


def differing_on(*versions):
    """The rows that are of some of these Linuxes."""
    return [row for row in ALL if any(row.differs(version) for version in versions)]


def version_of(release):
    """(6, 12) of "6.12.48-amd64"."""
    return tuple(map(int, re.match(r"(\d+)\.(\d+)", release).groups()))


def wrong_in(paper, rows=ALL):
    """What papers/linux.md says otherwise than the rows: lines."""
    there = [line for line in paper.splitlines() if f"| {_MARK}" in line]
    here = [row.line() for row in rows]
    return ([f"is not in {PAPER.name}: {line}" for line in here if line not in there]
            + [f"is in {PAPER.name} alone: {line}" for line in there if line not in here])
