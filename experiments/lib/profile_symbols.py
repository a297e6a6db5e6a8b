"""What functions there are: of the guest kernel, the hypervisor and the guest's programs, from their files.

Functions have numbers, which the plugin is given with their addresses (experiments/profiler/table.h); their names stay
here. Code that was inlined belongs to the function that it was inlined into.
"""

import dataclasses
import pathlib
import re
import struct
import subprocess

import machine

from . import images, kvm_host, xen_host
from .errors import UserError

# What the plugin says where the table has no function: experiments/profiler/table.h.
_UNKNOWN = (("firmware", "firmware and loader"), ("nopte-hv", "unknown"), ("nopte-guest", "unknown"),
            ("programs", "unknown program"))
FIRST_EXIT = 1 << 30
# What images of KVM's host are called before their own name: its kernel, its modules, the monitor.
KVM_HOST = "host/"

# guest-mm/core/places.h: where position-independent programs are loaded.
PIE_BASE = 0x5555_5555_4000
_TRAP_STUB_BYTES = 16  # hv-mm/arch/x86_64/traps.S

# Xen's entries of exceptions (xen/arch/x86/x86_64/entry.S), and the addresses that are its own in every space (public/arch-x86/xen-x86_64.h).
_XEN_VECTORS = {"divide_error": 0, "debug": 1, "nmi": 2, "int3": 3, "overflow": 4, "bounds": 5, "invalid_op": 6,
                "device_not_available": 7, "double_fault": 8, "invalid_TSS": 10, "segment_not_present": 11, "stack_segment": 12,
                "general_protection": 13, "page_fault": 14, "coprocessor_error": 16, "alignment_check": 17, "machine_check": 18,
                "simd_coprocessor_error": 19, "entry_CP": 21}
_XEN_ADDRESSES = (0xffff_8000_0000_0000, 0xffff_8800_0000_0000)

# Exit codes (APM vol. 2, appendix C) that have a name of their own here; the rest are shown as numbers.
_EXITS = {0x4e: "page fault", 0x60: "interrupt", 0x61: "NMI", 0x64: "interrupt window", 0x72: "CPUID", 0x78: "HLT",
          0x7b: "I/O port", 0x7c: "MSR", 0x79: "INVLPG", 0x81: "VMMCALL", 0x400: "nested page fault"}
_EXITS |= {first + number: f"{verb} CR{number}" for first, verb in ((0x00, "read of"), (0x10, "write of"))
           for number in range(16)}
_EXITS |= {0x40 + vector: f"exception {vector}" for vector in range(32) if vector != 14}


@dataclasses.dataclass(frozen=True)
class Function:
    image: str  # the file that it is in
    name: str


@dataclasses.dataclass
class Symbol:
    begin: int
    end: int
    name: str


class Table:
    """The lines for the plugin, and the names for its numbers."""

    def __init__(self):
        self._functions = [Function(*unknown) for unknown in _UNKNOWN]
        self._numbers = {}
        self._lines = []

    def text(self):
        return "".join(line + "\n" for line in self._lines)

    def function(self, number):
        if number >= FIRST_EXIT:
            code = number - FIRST_EXIT
            return Function("exits", f"[exit {code:#x}: {_EXITS[code]}]" if code in _EXITS else f"[exit {code:#x}]")
        return self._functions[number]

    def add_hypervisor(self, path=images.HYPERVISOR):
        segments = [segment for segment in load_segments(path) if segment.memory_bytes]
        first = min(segment.physical for segment in segments)
        last = max(segment.physical + segment.memory_bytes for segment in segments)
        self._lines += [f"hypervisor {first:x} {last:x}", "image hypervisor"]
        for symbol in symbols(path):
            if symbol.name == "trap_stubs":
                for vector in range(256):
                    at = symbol.begin + _TRAP_STUB_BYTES * vector
                    self._add(path.name, Symbol(at, at + _TRAP_STUB_BYTES, symbol.name), f" vector={vector}")
            else:
                self._add(path.name, symbol)

    def add_xen(self, path):
        """`path`: its file with symbols; None: it is one name."""
        first, last = _XEN_ADDRESSES
        self._functions[1] = Function("xen", "entry stub" if path else "Xen")
        self._lines += [f"ring0 {first:x} {last:x}", "image hypervisor"]
        for symbol in symbols(path) if path else ():
            vector = _XEN_VECTORS.get(symbol.name)
            self._add("xen", symbol, "" if vector is None else f" vector={vector}")

    def add_kvm(self):
        """KVM's host: its kernel and modules, and the monitor."""
        self._functions[1] = Function(f"{KVM_HOST}unknown", "unknown")
        self._lines += ["host", "image hypervisor"]
        for symbol in kvm_host.symbols():
            self._add(KVM_HOST + symbol.image, symbol)
        for symbol in symbols(kvm_host.MONITOR):
            self._add(KVM_HOST + kvm_host.MONITOR.name, symbol)

    def add_kernel(self, path=images.GUEST):
        self._lines.append("image kernel")
        whats = []
        for symbol in symbols(path):
            what = _kernel_what(symbol.name)
            whats.append(what)
            self._add(path.name, symbol, what)
        for what in (" mark", " switch", " start", " vector=14"):
            if whats.count(what) != 1:
                raise UserError(f"{path} has {whats.count(what)} functions that are the kernel's{what}; it must be one",
                                "build it again: ninja -C build nopte-guest")

    def add_program(self, path, name):
        """`name`: what it is called in the guest. False: it is no program that is known to the guest."""
        segments = [segment for segment in load_segments(path) if segment.executable and segment.file_bytes]
        if not segments:
            return False
        bias = PIE_BASE if _is_position_independent(path) else 0
        self._lines.append(f"program {pathlib.Path(path).resolve()}")
        self._lines += [f"segment {segment.address + bias:x} {segment.offset:x} {segment.file_bytes:x}" for segment in segments]
        found = symbols(path)
        for symbol in found:
            self._add(name, Symbol(symbol.begin + bias, symbol.end + bias, symbol.name))
        if not found:
            for segment in segments:
                begin = segment.address + bias
                self._add(name, Symbol(begin, begin + segment.file_bytes, name), " whole")
        return True

    def _add(self, image, symbol, what=""):
        function = Function(image, symbol.name)
        if function not in self._numbers:
            self._numbers[function] = len(self._functions)
            self._functions.append(function)
        self._lines.append(f"function {symbol.begin:x} {symbol.end:x} {self._numbers[function]}{what}")


def _kernel_what(name):
    """What the plugin has to know of one of the guest kernel's functions (guest-mm/arch/x86_64/entry.S)."""
    if re.search(r"\bMarkFile::write\(", name):
        return " mark"
    if match := re.fullmatch(r"(?:exception|interrupt)_(\d+)", name):
        return f" vector={match[1]}"
    if re.match(r"ring3_(?!return)|exception_stub_", name):
        return " bounce"
    return {"page_fault_entry": " vector=14", "spurious_interrupt": " vector=255", "switch_stacks": " switch",
            "context_start": " start"}.get(name, "")


_NM = re.compile(r"([0-9a-f]+) (?:([0-9a-f]+) )?([tTwWiu]) (.*)")
_CLONE = re.compile(r" \[clone [^\]]*\]")


def symbols(path):
    """The functions of an ELF file, by address, without overlap. Names inside of another's range are its labels."""
    done = subprocess.run(["nm", "--demangle", "--numeric-sort", "--print-size", path], capture_output=True, text=True,
                          check=False)
    listed = [(int(match[1], 16), int(match[2] or "0", 16), _CLONE.sub("", match[4]))
              for match in map(_NM.fullmatch, done.stdout.splitlines()) if match]
    listed.sort(key=lambda one: (one[0], -one[1]))
    found = []
    for begin, size, name in listed:
        if found and begin < found[-1].end:
            continue
        if found and found[-1].end == found[-1].begin:  # has no size of its own
            if begin == found[-1].begin:
                found.pop()
            else:
                found[-1].end = begin
        found.append(Symbol(begin, begin + size, name))
    return [symbol for symbol in found if symbol.end > symbol.begin]


@dataclasses.dataclass
class Segment:
    executable: bool
    offset: int
    address: int
    physical: int
    file_bytes: int
    memory_bytes: int


# ELF-64's header behind its identification, and a program header (System V ABI).
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_LOAD, _EXECUTABLE, _DYN = 1, 1, 3


def load_segments(path):
    """The segments of an ELF-64 file that are loaded; none if it is something else."""
    data = pathlib.Path(path).read_bytes()
    if not data.startswith(b"\x7fELF\x02\x01") or len(data) < _HEADER.size:
        return []
    header = _HEADER.unpack_from(data)
    offset, size, count = header[5], header[9], header[10]
    if size < _PROGRAM_HEADER.size or offset + size * count > len(data):
        return []
    found = []
    for index in range(count):
        kind, flags, at, address, physical, file_bytes, memory_bytes, _ = _PROGRAM_HEADER.unpack_from(data, offset + index * size)
        if kind == _LOAD and at + file_bytes <= len(data):
            found.append(Segment(bool(flags & _EXECUTABLE), at, address, physical, file_bytes, memory_bytes))
    return found


def _is_position_independent(path):
    return _HEADER.unpack_from(pathlib.Path(path).read_bytes())[1] == _DYN


def programs(extra):
    """(host path, guest path) of what can run in the guest: its own programs, and what --with adds."""
    found = [(images.BUSYBOX, "/bin/busybox"), (images.MMLAT, "/bin/mmlat"), (images.MMLAT_EXIT, "/bin/mmlat-exit")]
    for host, guest in extra:
        host = pathlib.Path(host)
        files = sorted(path for path in host.rglob("*") if path.is_file()) if host.is_dir() else [host]
        found += [(path, guest if path == host else f"{guest}/{path.relative_to(host)}") for path in files]
    return found


def table(mode, extra=(), guest=images.GUEST):
    made = Table()
    if mode == machine.XEN_PV:
        made.add_xen(xen_host.symbols())
    elif mode in machine.KVM_MODES:
        made.add_kvm()
    elif mode != "native":
        made.add_hypervisor()
    made.add_kernel(guest)
    for host, guest in programs(extra):
        made.add_program(host, pathlib.PurePosixPath(guest).name)
    return made
