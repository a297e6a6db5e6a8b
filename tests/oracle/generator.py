"""Random programs for oracle_player, and how they are read by people. A program is a list of Operation.

A new operation is a row of OPERATIONS here, and one of operations.cc's table.
"""

import dataclasses
import random

PAGES = 64
SLOTS = 8
ACTORS = 4
PAGE = 4096
MOST_OPERATIONS = 40


@dataclasses.dataclass(frozen=True)
class Operation:
    actor: int
    name: str
    numbers: tuple

    def line(self):
        return " ".join(map(str, (self.actor, self.name, *self.numbers)))

    def __str__(self):
        kinds = OPERATIONS[self.name][1]
        shown = ", ".join(kind.show(number) for kind, number in zip(kinds, self.numbers, strict=True))
        return f"actor {self.actor}: {self.name}({shown})"


@dataclasses.dataclass(frozen=True)
class Kind:
    """What one number of an operation is: its `name`, and a function that chooses one."""
    name: str
    choose: object
    names: dict = dataclasses.field(default_factory=dict)

    def show(self, number):
        return f"{self.name} {self.names.get(number, number)}"


def flags_kind(name, values, weights=None):
    """`values`: name → number; one of them is taken."""
    numbers = list(values.values())
    return Kind(name, lambda r: r.choices(numbers, weights)[0], {number: text for text, number in values.items()})


def _page(r):
    # Most meet in few pages; some go over the arena's middle.
    return r.choices((r.randrange(12), r.randrange(PAGES)), (5, 1))[0]


def _pages(r):
    return r.choices((r.randint(1, 4), r.randint(5, 16), 0), (16, 4, 1))[0]


def _offset(r):
    return r.choice((0, 0, 1, 8, 100, 2048, 4000, 4088, 4095))


def _bytes(r):
    return r.choice((0, 1, 7, 100, 4000, 4096, 4097, 6000, 8192, 12288, 20000))


def _place(r):
    """A place in a file, in bytes; now and then one that is refused."""
    return r.choice((0, 0, 1, 100, 4095, 4096, 4097, 6000, 8192, 10000, 16384, 32768, -1))


def _protection(r):
    # Without PROT_EXEC alone: where the processor has protection keys Linux forbids reading too.
    return r.choices((0, 1, 3, 2, 5, 7, 8), (3, 5, 12, 2, 2, 2, 0.2))[0]


PROTECTIONS = {0: "NONE", 1: "R", 2: "W", 3: "RW", 5: "RX", 7: "RWX", 8: "8"}
PRIVATE, SHARED, FIXED, ANONYMOUS = 2, 1, 0x10, 0x20
NORESERVE, POPULATE, NOREPLACE, VALIDATE = 0x4000, 0x8000, 0x100000, 3
MAP_NAMES = ((SHARED, "SHARED"), (PRIVATE, "PRIVATE"), (FIXED, "FIXED"), (ANONYMOUS, "ANONYMOUS"), (NORESERVE, "NORESERVE"),
             (POPULATE, "POPULATE"), (NOREPLACE, "FIXED_NOREPLACE"), (0x2000, "LOCKED"))


def _map_flags(r):
    flags = r.choices((PRIVATE, SHARED, VALIDATE, 0), (10, 7, 0.5, 0.2))[0]
    flags |= r.choices((FIXED, NOREPLACE, 0), (10, 2, 2))[0]
    flags |= r.choices((ANONYMOUS, 0), (3, 2))[0]
    return flags | r.choices((0, POPULATE, NORESERVE, 0x2000), (20, 2, 1, 0))[0]


class MapFlags(Kind):
    def show(self, number):
        return "|".join(name for bit, name in MAP_NAMES if number & bit) or "0"


page = Kind("page", _page)
maybe_page = Kind("page", lambda r: -1 if r.random() < 0.05 else _page(r))
pages = Kind("pages", _pages)
offset = Kind("offset", _offset)
count = Kind("bytes", _bytes)
place = Kind("at", _place)
value = Kind("value", lambda r: r.choice((0, 1, 0xC3, r.randrange(256))))
slot = Kind("descriptor", lambda r: r.choices((r.randrange(3), r.randrange(SLOTS), -1), (12, 4, 0.3))[0])
protection = Kind("prot", _protection, PROTECTIONS)
map_flags = MapFlags("flags", _map_flags)
file_page = Kind("file page", lambda r: r.choice((0, 0, 0, 1, 2, 5)))
remap_flags = flags_kind("flags", {"0": 0, "MAYMOVE": 1, "MAYMOVE|FIXED": 3, "FIXED": 2, "MAYMOVE|DONTUNMAP": 5,
                                   "MAYMOVE|FIXED|DONTUNMAP": 7, "8": 8}, (4, 4, 10, 0.3, 2, 2, 0.2))
# Not FREE (pages may go or stay), COLD, PAGEOUT, MERGEABLE, COLLAPSE, nor what 6.12 does not know (papers/linux.md).
advice = flags_kind("advice", {"NORMAL": 0, "RANDOM": 1, "SEQUENTIAL": 2, "WILLNEED": 3, "DONTNEED": 4, "REMOVE": 9, "DONTFORK": 10,
                               "DOFORK": 11, "DONTDUMP": 16, "DODUMP": 17, "WIPEONFORK": 18, "KEEPONFORK": 19,
                               "POPULATE_READ": 22, "POPULATE_WRITE": 23, "99": 99},
                    (1, 1, 1, 1, 12, 3, 3, 2, 1, 1, 3, 2, 2, 3, 0.5))
sync_flags = flags_kind("flags", {"ASYNC": 1, "INVALIDATE": 2, "SYNC": 4, "ASYNC|SYNC": 5, "0": 0, "8": 8})
lock_flags = flags_kind("flags", {"0": 0, "ONFAULT": 1, "2": 2}, (4, 4, 0.3))
heap_bytes = Kind("heap", lambda r: r.choice((0, 0, 1, 4095, 4096, 4097, 8192, 12288, 40000, -1 << 30)))
open_flags = flags_kind("flags", {"RDWR|CREAT": 0o102, "RDWR": 2, "RDONLY": 0, "WRONLY|CREAT": 0o101,
                                  "RDWR|CREAT|TRUNC": 0o1102, "RDWR|CREAT|APPEND": 0o2102, "RDWR|CREAT|EXCL": 0o302},
                        (8, 2, 3, 2, 3, 2, 1))
seals = flags_kind("seals", {"SEAL": 1, "SHRINK": 2, "GROW": 4, "WRITE": 8, "FUTURE_WRITE": 16, "SHRINK|GROW": 6, "64": 64})
memfd_flags = flags_kind("flags", {"ALLOW_SEALING": 2, "0": 0, "CLOEXEC": 1, "16384": 16384}, (8, 3, 2, 0.2))
allocate_mode = flags_kind("mode", {"0": 0, "KEEP_SIZE": 1, "PUNCH_HOLE|KEEP_SIZE": 3, "PUNCH_HOLE": 2}, (3, 2, 4, 0.3))
whence = flags_kind("whence", {"SET": 0, "CUR": 1, "END": 2, "9": 9}, (4, 2, 2, 0.2))
file = Kind("file", lambda r: r.randrange(3))
actor = Kind("actor", lambda r: r.randrange(1, ACTORS))
any_actor = Kind("actor", lambda r: r.randrange(ACTORS))
fatal = flags_kind("signal", {"KILL": 9, "TERM": 15, "HUP": 1})
blocked = flags_kind("signal", {"USR1": 10, "USR2": 12})
to_process = flags_kind("to", {"thread": 0, "process": 1})

# Name → how often, relative to others, and what its numbers are.
OPERATIONS = {
    "mmap": (24, (maybe_page, pages, protection, map_flags, slot, file_page)),
    "munmap": (7, (page, pages)),
    "mprotect": (12, (page, pages, protection)),
    "madvise": (9, (page, pages, advice)),
    "msync": (3, (page, pages, sync_flags)),
    "mlock": (2, (page, pages, lock_flags)),
    "munlock": (1, (page, pages)),
    "mremap": (10, (page, pages, pages, remap_flags, page)),
    "mincore": (2, (page, pages)),
    "brk": (2, (heap_bytes,)),
    "load": (8, (page, offset)),
    "store": (14, (page, offset, value)),
    "heap_load": (1, (heap_bytes,)),
    "heap_store": (2, (heap_bytes, value)),
    "execute": (2, (page,)),
    "fill": (10, (page, pages, value)),
    "sum": (8, (page, pages)),
    "maps": (3, ()),
    "memfd": (4, (slot, memfd_flags)),
    "open": (4, (slot, file, open_flags)),
    "pipe": (2, (slot, slot)),
    "close": (2, (slot,)),
    "dup": (1, (slot, slot)),
    "ftruncate": (6, (slot, place)),
    "fallocate": (3, (slot, allocate_mode, place, count)),
    "lseek": (2, (slot, place, whence)),
    "seal": (2, (slot, seals)),
    "read": (5, (slot, page, offset, count)),
    "write": (6, (slot, page, offset, count)),
    "pread": (3, (slot, page, offset, count, place)),
    "pwrite": (3, (slot, page, offset, count, place)),
    "fork": (5, (actor,)),
    "thread": (3, (actor,)),
    "end": (3, (actor,)),
    "kill": (1, (actor, fatal)),
    "signal": (2, (any_actor, blocked, to_process)),
    "take": (1, ()),
    "deliver": (1, ()),
}
_NAMES = list(OPERATIONS)
_WEIGHTS = [OPERATIONS[name][0] for name in _NAMES]


def operation(r, who, left_out):
    """`left_out`: rows of known.py, whose numbers become others."""
    name = r.choices(_NAMES, _WEIGHTS)[0]
    numbers = [kind.choose(r) for kind in OPERATIONS[name][1]]
    for row in left_out:
        numbers = row.leave_out.get(name, list)(numbers)
    return Operation(who, name, tuple(numbers))


def _first(r):
    """What gives the rest something to meet: files with bytes, mappings of them and of nothing."""
    choices = (
        Operation(0, "memfd", (0, 2)), Operation(0, "ftruncate", (0, _place(r))), Operation(0, "open", (1, 0, 0o102)),
        Operation(0, "pipe", (2, 3)), Operation(0, "mmap", (0, 12, 3, PRIVATE | ANONYMOUS | FIXED, -1, 0)),
        Operation(0, "fill", (r.randrange(8), 4, r.randrange(1, 256))), Operation(0, "pwrite", (1, 0, 0, 8192, 0)),
        Operation(0, "mmap", (r.randrange(12), 4, 3, SHARED | FIXED, r.randrange(2), 0)), Operation(0, "fork", (1,)),
        Operation(0, "thread", (2,)))
    return [each for each in choices if r.random() < 0.6]


def program(seed, left_out=()):
    """The program that `seed` names, without what differs by the rows `left_out`. It ends by what every actor has mapped."""
    r = random.Random(seed)
    found = _first(r)
    found += [operation(r, r.choices(range(ACTORS), (5, 2, 1, 1))[0], left_out) for _ in range(r.randint(6, MOST_OPERATIONS))]
    return found + [Operation(who, "maps", ()) for who in range(ACTORS)]


def text(programs):
    """What the player reads; `programs`: name → operations."""
    lines = []
    for name, operations in programs.items():
        lines.append(f"= {name}")
        lines += [each.line() for each in operations]
    return "\n".join(lines) + "\n"


def parse(given):
    """What text() wrote."""
    programs = {}
    for line in given.splitlines():
        if line.startswith("= "):
            operations = programs.setdefault(line[2:], [])
        else:
            who, name, *numbers = line.split(" ")
            operations.append(Operation(int(who), name, tuple(map(int, numbers))))
    return programs
