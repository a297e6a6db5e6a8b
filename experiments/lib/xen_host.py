"""Debian's Xen: the hypervisor out of its package, and boots of the guest's image as its first domain."""

import gzip
import shutil

import machine

from . import images, packages
from .errors import UserError

PACKAGE = "xen"
SYMBOLS = "xen-symbols"
# include/public/xen.h: MAX_GUEST_CMDLINE, with the byte that ends it.
COMMAND_LINE_BYTES = 1024
# What Xen says for itself; at other times it would be in the way of what the guest prints.
SAYS = b"(XEN) "
# No work that is not asked for, as every host that is measured: page tables that user mode cannot see are for other
# processors. Nothing of the firmware's is looked for; and it idles by HLT, for TCG's MWAIT takes no hint (#GP).
_OPTIONS = ("dom0_max_vcpus=1 xpti=no spec-ctrl=no com1=115200,8n1 console=com1 loglvl=warning guest_loglvl=all "
            "no-real-mode edd=off cpuidle=no")


def hypervisor():
    """Xen's ELF file, unpacked beside its package; done once."""
    deb = packages.fetch(PACKAGE)
    elf = deb.with_suffix(".elf")
    if not elf.exists():
        found = packages.files(deb, lambda path: path.startswith("boot/xen-") and path.endswith(".gz"))
        if not found:
            raise UserError(f"{deb.name} holds no hypervisor", "delete it, and run this again")
        unpacked = elf.with_suffix(".new")
        unpacked.write_bytes(gzip.decompress(next(iter(found.values()))))
        unpacked.rename(elf)
    return elf


def symbols():
    """Its file with symbols, of the same version; None: this release has none, which is said."""
    try:
        deb = packages.fetch(SYMBOLS)
    except UserError as error:
        return _no_symbols(str(error))
    if packages.version(deb).split(maxsplit=1)[1] != packages.version(packages.fetch(PACKAGE)).split(maxsplit=1)[1]:
        return _no_symbols(f"{deb.name} is another version's")
    elf = deb.with_suffix(".elf")
    if not elf.exists():
        found = packages.files(deb, lambda path: path.startswith("usr/lib/debug/boot/xen-syms-") and not path.endswith(".map"))
        if not found:
            return _no_symbols(f"{deb.name} holds none")
        unpacked = elf.with_suffix(".new")
        unpacked.write_bytes(next(iter(found.values())))
        unpacked.rename(elf)
    return elf


def _no_symbols(why):
    images.say(f"Xen's functions have no names, and are shown as one: {why}")


def boot(folder, guest, archive, line, guest_mib, accel):
    """A machine.Boot of the image `guest` as Xen's first domain, with its files in `archive`."""
    if len(line.encode()) >= COMMAND_LINE_BYTES:
        raise UserError(f"the command is longer than Xen hands over, {COMMAND_LINE_BYTES} bytes",
                        "put it into a script and give that by --with")
    kernel, files = folder / "guest", []
    shutil.copyfile(guest, kernel)
    if archive:
        files.append(folder / "initramfs.cpio")
        files[0].write_bytes(archive)
    size = kernel.stat().st_size + len(archive)
    return machine.Boot(machine.XEN_PV, hypervisor(), modules(kernel, line, *files),
                        f"dom0_mem={guest_mib}M,max:{guest_mib}M {_OPTIONS}", folder / "counters.jsonl",
                        module_bytes=size, guest_mib=guest_mib, accel=accel, hidden=SAYS)


def modules(kernel, line, *others):
    """QEMU's notation of Multiboot modules, the first with a command line: commas part them, blanks begin the line."""
    if " " in str(kernel):
        raise UserError(f"{kernel}: QEMU takes no module whose path holds blanks", "set TMPDIR to another folder")
    parts = [f"{kernel} {line}", *map(str, others)]
    return ",".join(part.replace(",", ",,") for part in parts)
