"""Counts what paravirtualisation is in the guest image: operations, call sites, bytes of text; and what it costs.

Everything is read from the files that the build leaves: the lists of operations, the image's table of call sites
(guest-mm/arch/x86_64/call_sites.h), the linker's maps, and boots of both images on the bare machine.
"""

import dataclasses
import json
import pathlib
import re
import struct
import subprocess
import tempfile

import machine

from . import boots, images, launcher, results
from .errors import UserError

# Ingo Molnar, "ABI coupling to hypervisors via CONFIG_PARAVIRT", linux-kernel, 9 March 2007: a distribution's i386
# kernel with CONFIG_PARAVIRT and no backend, before patching at boot.
PUBLISHED = {
    "source": "I. Molnar, linux-kernel, 9 March 2007: Linux on i386, CONFIG_PARAVIRT and no backend",
    "operations_below": 100,
    "call_sites": 1463,
    "text": [{"part": "arch/i386", "with": 148865, "without": 139863},
             {"part": "vmlinux", "with": 5189197, "without": 5154975}],
}
# Every row of the image with patched calls is held against the image whose calls were bound by the compiler.
MOST_COST = 0.005
MOST_GAIN = 0.03
# But rows of few instructions in loops. The first image has an instruction more where it chooses a loop. The second is
# another program to the compiler, which keeps more in registers or less: a page's mprotect there is 45 of 881 dearer, a page
# that loses all access 1 of 32 cheaper.
COST_OF = {"fork-small": 0.01, "fork-10": 0.01, "fork-64m": 0.015, "fork-exec": 0.01, "mremap-move": 0.01, "protect-none": 0.025,
           "shared-read": 0.01, "shared-write": 0.01, "sparse-unmap": 0.015}
GAIN_OF = {"cow-child": 0.04, "protect-page": 0.06, "segv-barrier": 0.06, "shared-unmap": 0.06, "dontneed": 0.06, "protect-10": 0.06,
           "protect-1k": 0.06, "protect-60k": 0.06}
# From g++ 13 on; seen with 14. Its first image is as g++ 12's; of the second, whose engine writes tables in one way alone, it
# makes a shorter Engine::resolve (235 instructions a copied page for 272; g++ 12: 270 for 269) and clone_below, and longer
# protect and unmap.
NEWER_MOST_COST = 0.01
NEWER_COST_OF = COST_OF | {"cow-child": 0.035, "fork-small": 0.02, "fork-64m": 0.02, "fork-exec": 0.02, "mremap-move": 0.04,
                           "protect-mib": 0.02, "protect-none": 0.03, "shared-read": 0.02, "shared-write": 0.02,
                           "shared-unmap": 0.04, "sparse-unmap": 0.04}
NEWER_GAIN_OF = GAIN_OF | {"protect-page": 0.09, "protect-10": 0.09, "protect-1k": 0.09, "protect-60k": 0.09, "cow-parent": 0.1,
                           "unmap-10": 0.03, "unmap-1k": 0.03, "unmap-60k": 0.03, "sparse-unmap": 0.03}

# How much larger all of the text may be for what paravirtualisation adds, as g++ 12 makes it.
MOST_GROWTH = 0.13

# Folder of objects → what it is, in the order of the table.
PARTS = {
    "image_guest": "guest kernel", "image_guest_main": "guest kernel",
    "image_pvops": "shared support",
    "image_translation": "translation layer, bare machine", "image_translation_guest": "translation layer, bare machine",
    "image_translation_bare": "translation layer, bare machine",
    "image_translation_native": "translation layer, bare machine",
    "image_choice": "choice and patching", "image_native_choice": "choice and patching",
    "image_stubs": "backend: hypercalls",
    # One engine, for the bare machine and the interfaces: what is only for these is told by its name.
    "image_translation_interfaces": "translation layer, bare machine",
}
_INTERFACES = "backends: page-table interfaces"
BACKENDS = ("backend: hypercalls", _INTERFACES)

# In a section's name: code that the bare machine has no use for. An interface's own, or a part of the engine that is there
# once for the bare machine and once for them (EitherSink::choose).
_ONLY_INTERFACES = re.compile(r"TableOps|XenTables|XenQueue|ToldTables|Teller|Interface|_told|5apart|(kvmpv|vmi|lguest|xen)_backend"
                              r"|hypercall")

# What the engine's functions are by their class.
ENGINE_PARTS = {
    "engine: faults, ranges, clones": ("Engine", "EngineMm"),
    "tables: finding, changing, sharing": ("Cursor", "TlbBatch", "TableMemory", "TableView"),
    "entries: plain or by operations": ("EitherSink", "StoreSink", "TableOpsSink", "TableOps"),
    "Xen's interface": ("XenTables", "XenQueue"),
    "the told interfaces": ("ToldTables", "KvmPvTeller", "VmiTeller", "LguestTeller"),
}
_OTHER = "home, platform, boot"

_IMAGE_BASE = 0xFFFFFFFF80000000
_SITE = struct.Struct("<III")
_PIECE = re.compile(r"^ (\.text\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+\.o)$", re.MULTILINE)
# In a section's name: the class that its function belongs to.
_CLASS = re.compile(r"_ZT?(?:hn\d+_)?Z?NK?5nopte2pt(?:12_GLOBAL__N_1)?\d+([A-Za-z]+?)(?:I|C\d|D\d|\d|$)")


@dataclasses.dataclass
class CallSites:
    memory: int = 0
    platform: int = 0
    direct: int = 0  # of both, as linked: a call, jmp or jcc with a displacement


@dataclasses.dataclass
class Census:
    operations: dict  # "memory", "platform" → number
    sites: CallSites
    text: list  # {"part", "with", "without"}, bytes
    engines: list = dataclasses.field(default_factory=list)  # {"part", "interfaces", "both"}, bytes
    redirected: dict = dataclasses.field(default_factory=dict)  # after boot on the bare machine
    rows: list = dataclasses.field(default_factory=list)  # {"row", "title", "with", "without"}
    problems: list = dataclasses.field(default_factory=list)

    def total(self, which, without_backends=False):
        return sum(part[which] for part in self.text if not (without_backends and part["part"] in BACKENDS))


def operations():
    """How many operations each of the kernel's calls can be bound for; the page-fault entry is one."""
    found = {}
    for name in ("mm", "platform"):
        text = (images.ROOT / "pvops" / f"{name}_ops.def").read_text()
        found["memory" if name == "mm" else name] = len(re.findall(r"^NOPTE_OP\w*\(", text, re.MULTILINE))
    found["memory"] += 1
    return found


class Image:
    """Sections of a linked image."""

    def __init__(self, path):
        self._data = path.read_bytes()
        listing = subprocess.run(["readelf", "--sections", "--wide", path], check=True, capture_output=True, text=True)
        self._sections = {}
        for line in listing.stdout.splitlines():
            fields = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+([0-9a-f]+)\s+([0-9a-f]+)\s+([0-9a-f]+)", line)
            if fields:
                self._sections[fields[1]] = tuple(int(field, 16) for field in fields.groups()[1:])

    def section(self, name):
        _, offset, size = self._sections[name]
        return self._data[offset:offset + size]

    def code(self):
        """(begin, end) of each section of code."""
        return [(begin, begin + size) for name, (begin, _, size) in self._sections.items()
                if name in (".text", ".translation.text")]

    def before(self, address, count):
        """The `count` bytes before `address`, and the four at it."""
        for begin, offset, size in self._sections.values():
            if begin <= address < begin + size:
                at = offset + address - begin
                return self._data[at - count:at], self._data[at:at + 4]
        raise UserError(f"{address:#x} is not in the image")


def call_sites(image):
    table = image.section(".call_sites")
    count, = struct.unpack_from("<I", table)
    found = CallSites()
    for index in range(count):
        displacement, linked, platform = _SITE.unpack_from(table, 8 + index * _SITE.size)
        address = _IMAGE_BASE + displacement
        opcode, value = image.before(address, 2)
        direct = opcode[1] in (0xE8, 0xE9) or (opcode[0] == 0x0F and 0x80 <= opcode[1] <= 0x8F)
        leads_there = address + 4 + struct.unpack("<i", value)[0] == _IMAGE_BASE + linked
        found.direct += direct and leads_there
        found.platform += platform
        found.memory += not platform
    return found


def pieces_of(path, image):
    """(name of its section, object file, bytes) of each piece of code, from the linker's map. What pads a function's
    end is counted with it."""
    pieces = sorted((int(address, 16), name, source)
                    for name, address, size, source in _PIECE.findall(path.with_name(path.name + ".map").read_text())
                    if int(address, 16) != 0 and int(size, 16) != 0)  # others are not linked
    for section_begin, section_end in image.code():
        inside = [piece for piece in pieces if section_begin <= piece[0] < section_end]
        ends = [begin for begin, _, _ in inside[1:]] + [section_end]
        for (begin, name, source), end in zip(inside, ends):
            yield name, source, end - begin


def folder_of(source):
    folder = re.search(r"CMakeFiles/(\w+)\.dir/", source)
    return folder[1] if folder else None


def text_by_part(path, image):
    """Part → bytes of code."""
    found = {}
    for name, source, size in pieces_of(path, image):
        part = PARTS.get(folder_of(source))
        if part is None:
            raise UserError(f"{path.name}: {source} belongs to no part", "name it in experiments/lib/census.py")
        if only_interfaces(name, source):
            part = _INTERFACES
        found[part] = found.get(part, 0) + size
    return found


def only_interfaces(name, source):
    return folder_of(source) == "image_translation_interfaces" and _ONLY_INTERFACES.search(name) is not None


def engines(pieces):
    """What the engine's file is made of: {"part", "interfaces", "both"}, bytes of code for the interfaces alone and for
    the bare machine, or it and them."""
    found = {part: {"part": part, "interfaces": 0, "both": 0} for part in (*ENGINE_PARTS, _OTHER)}
    for name, source, size in pieces:
        if folder_of(source) != "image_translation_interfaces":
            continue
        which = "interfaces" if only_interfaces(name, source) else "both"
        scope = _CLASS.search(name)
        part = next((part for part, classes in ENGINE_PARTS.items() if scope and scope[1] in classes), _OTHER)
        found[part][which] += size
    return list(found.values())


def count():
    """What the two images hold."""
    image, native = Image(images.GUEST), Image(images.GUEST_NATIVE)
    both, alone = text_by_part(images.GUEST, image), text_by_part(images.GUEST_NATIVE, native)
    parts = [part for part in dict.fromkeys((*PARTS.values(), _INTERFACES)) if part in both or part in alone]
    text = [{"part": part, "with": both.get(part, 0), "without": alone.get(part, 0)} for part in parts]
    census = Census(operations(), call_sites(image), text, engines(pieces_of(images.GUEST, image)))
    sites = census.sites
    if sites.direct != sites.memory + sites.platform:
        census.problems.append(f"{sites.memory + sites.platform - sites.direct} call sites are no direct calls")
    census.problems += overgrown(census, gcc_version())
    return census


def overgrown(census, compiler):
    """A complaint when the text with all backends is larger than it was when it was last made smaller."""
    more = census.total("with") / census.total("without") - 1
    return [f"the text is {more:.1%} larger, which may be {MOST_GROWTH:.1%}"] if compiler <= 12 and more > MOST_GROWTH else []


def _boot(image, command, timeout):
    with tempfile.TemporaryDirectory(prefix="nopte-census-") as folder:
        boot = boots.make(pathlib.Path(folder), "native", command, guest=image)
        done = launcher.run(machine.command(boot), boot.counters, timeout)
    if done.status != 0:
        raise UserError(f"{image.name}: {' '.join(command)} ended with status {done.status}")
    return done


def look_at_the_running_image(census, timeout):
    """What /proc/nopte says natively: every site, and how many boot has redirected."""
    console = _boot(images.GUEST, ["/bin/busybox", "cat", "/proc/nopte"], timeout).console.decode(errors="replace")
    for kind in ("memory", "platform"):
        line = re.search(rf"{kind} call sites (\d+), redirected (\d+)", console)
        if not line:
            raise UserError("/proc/nopte does not count call sites")
        recorded, redirected = int(line[1]), int(line[2])
        census.redirected[kind] = redirected
        if recorded != getattr(census.sites, kind) or redirected != recorded:
            census.problems.append(f"{kind} calls: {recorded - redirected} of {recorded} are as linked after boot")


def measure(census, options):
    """Every row of mmlat in both images."""
    command = ["/bin/mmlat", "--scale", str(options.scale)] + (["--rows", options.rows] if options.rows else [])
    figures = []
    for image in (images.GUEST, images.GUEST_NATIVE):
        images.say(f"{image.name}: mmlat")
        done = _boot(image, command, options.timeout)
        found, failed = results.figures("native", done.console, done.events)
        census.problems += [f"{image.name}, row {row}: {why}" for row, why in failed.items()]
        figures.append(found)
    compiler = gcc_version()
    titles = {row["name"]: row["title"]
              for row in json.loads((images.ROOT / "experiments" / "peers.json").read_text())["rows"]}
    for row, patched in figures[0].items():
        bound = figures[1].get(row)
        if bound is None:
            continue
        census.rows.append({"row": row, "title": titles.get(row, row), "with": patched.instructions,
                            "without": bound.instructions})
        census.problems += beyond(row, patched.instructions, bound.instructions, compiler)
    if not census.rows:
        census.problems.append("no row was measured")


def gcc_version():
    """The first number of the version of the images' compiler, as the build found it."""
    found = next((images.BUILD / "CMakeFiles").glob("*/CMakeCXXCompiler.cmake"), None)
    version = re.search(r'\(CMAKE_CXX_COMPILER_VERSION "(\d+)', found.read_text()) if found else None
    if version is None:
        raise UserError("what compiled the images is not known", "delete build/, and run this again")
    return int(version[1])


def beyond(row, patched, bound, compiler):
    """A complaint when a row costs more than it may, or so little that it was not held against the same."""
    costs, gains = (NEWER_COST_OF, NEWER_GAIN_OF) if compiler > 12 else (COST_OF, GAIN_OF)
    cost = costs.get(row, NEWER_MOST_COST if compiler > 12 else MOST_COST)
    gain = gains.get(row, MOST_GAIN)
    if -gain * bound <= patched - bound <= cost * bound:
        return []
    bar = f"{cost:.1%} more" if patched > bound else f"{gain:.0%} less"
    return [f"row {row}: {patched:,.2f} instructions patched, {bound:,.2f} without paravirtualisation: more than {bar}"]


def growth(part):
    return f"{100 * (part['with'] / part['without'] - 1):+.1f}%" if part["without"] else "new"
