"""The machine that is KVM's host: Debian's kernel with kvm-amd, and one program, our monitor, that runs one guest.

The guest is a kernel with a PVH entry and its module. Natively QEMU starts it; here the monitor does, with the same files.
"""

import machine

from . import cpio, images, linux

MONITOR = images.PROGRAMS / "kvm-monitor"
TARGET = "kvm-monitor"


def archive(mode, kernel, module, command_line, guest_mib):
    """The host's initramfs; `kernel` and `module` are the guest's, as bytes."""
    host = linux.kernel()
    files = cpio.Archive()
    files.device("dev/console", 5, 1)
    files.file("init", MONITOR.read_bytes(), 0o755)
    for path in host.modules:
        files.file(f"modules/{path.name}", path.read_bytes())
    options = {"kvm-amd.ko": f" npt={int(mode == machine.KVM_NESTED)} nested=0"}
    files.file("modules/load", "".join(f"{path.name}{options.get(path.name, '')}\n" for path in host.modules).encode())
    files.file("guest/kernel", kernel)
    files.file("guest/module", module)
    files.file("guest/command_line", command_line.encode())
    files.file("guest/memory", str(guest_mib).encode())
    return files.bytes()


def command_line():
    return " ".join((*linux.QUIET_OPTIONS, *linux.OPTIONS))
