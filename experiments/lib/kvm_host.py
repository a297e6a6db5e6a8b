"""The machine that is KVM's host: Debian's kernel with kvm-amd, and one program, our monitor, that runs one guest.

The guest is a kernel with a PVH entry and its module. Natively QEMU starts it; here the monitor does, with the same files.
"""

import dataclasses
import pathlib
import tempfile

import machine

from . import cpio, images, launcher, linux
from .errors import UserError

MONITOR = images.PROGRAMS / "kvm-monitor"
TARGET = "kvm-monitor"


def archive(mode, kernel, module, command_line, guest_mib):
    """The host's initramfs; `kernel` and `module` are the guest's, as bytes."""
    files = _host_files(mode)
    files.file("guest/kernel", kernel)
    files.file("guest/module", module)
    files.file("guest/command_line", command_line.encode())
    files.file("guest/memory", str(guest_mib).encode())
    return files.bytes()


def _host_files(mode):
    host = linux.kernel()
    files = cpio.Archive()
    files.device("dev/console", 5, 1)
    files.file("init", MONITOR.read_bytes(), 0o755)
    for path in host.modules:
        files.file(f"modules/{path.name}", path.read_bytes())
    options = {"kvm-amd.ko": f" npt={int(mode == machine.KVM_NESTED)} nested=0"}
    files.file("modules/load", "".join(f"{path.name}{options.get(path.name, '')}\n" for path in host.modules).encode())
    return files


def command_line():
    return " ".join((*linux.QUIET_OPTIONS, *linux.OPTIONS))


@dataclasses.dataclass
class Symbol:
    image: str  # kernel, or a module
    begin: int
    end: int
    name: str


_SYMBOLS_SECONDS = 300


def symbols():
    """The functions of the host's kernel and modules, as it says where they are (Debian's package with its symbols is more
    than 1 GB). Asked once: nothing of what it loads is placed by chance."""
    kept = linux.kernel().elf.with_name("kallsyms")
    if not kept.exists():
        new = kept.with_suffix(".new")
        new.write_text(_ask_for_symbols())
        new.rename(kept)
    found = []
    for line in kept.read_text().splitlines():
        address, name, image = line.split()
        address = int(address, 16)
        if found and found[-1].begin == address:
            continue  # another name
        if found:
            found[-1].end = min(found[-1].end, address)
        found.append(Symbol(image, address, address + _MOST_BYTES, name))
    return found


# Of a function behind which there is none.
_MOST_BYTES = 1 << 16


def _ask_for_symbols():
    images.say("KVM's host is asked where its functions are")
    with tempfile.TemporaryDirectory(prefix="nopte-kallsyms-") as folder:
        folder = pathlib.Path(folder)
        files = _host_files(machine.KVM_SHADOW)
        files.file("say-symbols", b"")
        module = folder / "kvm-host.cpio"
        module.write_bytes(files.bytes())
        boot = machine.Boot(machine.KVM_SHADOW, linux.kernel().elf, module, command_line(), folder / "counters.jsonl",
                            module_bytes=module.stat().st_size)
        done = launcher.run(machine.command(boot), boot.counters, _SYMBOLS_SECONDS)
    listed = sorted(tuple(symbol.split()) for event in done.events if event["event"] == "symbols"
                    for symbol in event["text"].split(";") if symbol)
    if not listed:
        raise UserError("KVM's host has not said where its functions are", "its kernel may hide them (kptr_restrict)")
    return "".join(f"{' '.join(symbol)}\n" for symbol in listed)
