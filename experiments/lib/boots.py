"""Makes what one boot needs: the initramfs, for a hypervisor mode the bundle, and the command lines."""

import fractions
import re

import machine

from . import bundle, images, initramfs, kvm_host, linux, xen_host
from .errors import UserError

# pvops/abi/boot_block.h: kCommandLineBytes.
COMMAND_LINE_BYTES = 2048
# Names of the bundle's parts.
GUEST_PART = "guest"
INITRAMFS_PART = "initramfs"


def make(folder, mode, command, extra=(), guest_mib=machine.GUEST_MIB, accel="tcg", gdb=False, guest=images.GUEST,
         hide=(), verbose=False, pictures=False, aslr=None, tree=None, own=True):
    """A machine.Boot of the image `guest` whose files lie in `folder`. `tree`, `own`: initramfs.build's."""
    if guest_mib < machine.LEAST_GUEST_MIB:
        raise UserError(f"--memory {guest_mib}: too little", f"the guest needs {machine.LEAST_GUEST_MIB} MiB or more")
    if guest_mib % 2 != 0:
        raise UserError(f"--memory {guest_mib}: odd", "the guest's memory comes in pieces of 2 MiB")
    if hide and (mode == "native" or mode in machine.FOREIGN_MODES):
        raise UserError(f"--hide: there is no hypervisor of ours in mode {mode}", "give another --mode")
    if gdb and mode in machine.FOREIGN_MODES:
        raise UserError(f"--gdb: in mode {mode} QEMU's processor is the hypervisor's", "give --mode native, which is the same image")
    files = initramfs.build(extra, tree, own)
    archive = files.bytes()
    if len(archive) > guest_mib << 19:
        raise UserError(f"the guest's files are {len(archive) >> 20} MiB, which is more than half of its memory",
                        "give fewer files by --with, or more --memory")
    if not command and not own:
        command = ["/bin/sh"]
    line = machine.guest_command_line([in_guest(command[0], files), *command[1:]] if command else [], verbose, pictures, aslr)
    if len(line.encode()) >= COMMAND_LINE_BYTES:
        raise UserError(f"the command is longer than {COMMAND_LINE_BYTES} bytes",
                        "put it into a script and give that by --with")
    if mode in machine.KVM_MODES:
        kernel, module = linux.kernel().elf, folder / "kvm-host.cpio"
        module.write_bytes(kvm_host.archive(mode, guest.read_bytes(), archive, line, guest_mib))
        line = kvm_host.command_line()
    elif mode == machine.XEN_PV:
        return xen_host.boot(folder, guest, archive, line, guest_mib, accel)
    elif mode == "native":
        kernel, module = guest, folder / "initramfs.cpio"
        module.write_bytes(archive)
    else:
        kernel, module = images.HYPERVISOR, folder / "bundle"
        parts = [(GUEST_PART, guest.read_bytes()), (INITRAMFS_PART, archive)]
        module.write_bytes(bundle.build(parts))
        line = machine.hypervisor_command_line(mode, guest_mib, line, hide)
    return machine.Boot(mode, kernel, module, line, folder / "counters.jsonl", module_bytes=module.stat().st_size,
                        guest_mib=guest_mib, accel=accel, gdb=gdb)


def targets(mode):
    """What a boot in `mode` needs built, beside what every boot does."""
    return (kvm_host.TARGET,) if mode in machine.KVM_MODES else ()


def missing(mode):
    """Why `mode` cannot boot here, for want of a package; nothing when it can. Downloads it."""
    try:
        if mode in machine.KVM_MODES:
            linux.kernel()
        if mode == machine.XEN_PV:
            xen_host.hypervisor()
    except UserError as error:
        return str(error)
    return ""


_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([BKMGT]?)", re.IGNORECASE | re.ASCII)
_UNITS = {"B": 1, "K": 2**10, "": 2**20, "M": 2**20, "G": 2**30, "T": 2**40}


def memory_mib(text):
    """MiB in QEMU's notation for -m: a number of them, or one with a unit behind it, as in 512M, 1.5G."""
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise UserError(f"--memory {text}: not an amount of memory", "give MiB, or a number with M or G behind it")
    size = fractions.Fraction(match[1]) * _UNITS[match[2].upper()]
    if size % 2**20 != 0:
        raise UserError(f"--memory {text}: not whole MiB", "the guest's memory comes in pieces of 2 MiB")
    return int(size / 2**20)


def in_guest(program, files=None):
    """Where a program lies in the guest: a bare name is looked for in its `files`, and is else a busybox applet."""
    if "/" in program:
        return program
    return (files and initramfs.found(files, program)) or f"/bin/{program}"
