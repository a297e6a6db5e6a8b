"""The emulated machine: the one place that says what every figure was measured on.

One processor, one QEMU thread, and a clock that counts executed instructions: with icount the time-stamp
counter runs at exactly 1 GHz, one tick per instruction, the same on every run and host. String instructions
with fast-repeat features, and state components whose cost depends on history, are switched off so that counts
repeat. With --accel kvm the same devices sit under the host's processor, and nothing is counted.
"""

import dataclasses
import pathlib

QEMU = "qemu-system-x86_64"
CPU_MODEL = "EPYC"
CPU_FEATURES_OFF = ("erms", "xsaveopt", "xsavec", "xsaves", "smap")
SEED = 42

# What the guest gets, in every mode, unless --memory says otherwise; and the least that --memory takes.
GUEST_MIB = 1024
LEAST_GUEST_MIB = 64
# The hypervisor's own memory comes on top: text, tables, metadata of every frame, and the bundle it was given.
HYPERVISOR_MIB = 128

EXIT_PORT = 0xF4
COUNTERS_PORT = 0xE9

# What a hypervisor can be made to hide from its guest (hv-mm/boot/options.h).
HIDEABLE = ("memory", "platform", "xen", "vmi", "lguest", "kvmpv", "version")

MODES = ("native", "nested", "shadow", "vma", "kvmpv", "vmi", "lguest", "xen")


@dataclasses.dataclass
class Boot:
    """One boot: what QEMU is given."""

    mode: str
    kernel: pathlib.Path
    module: pathlib.Path
    command_line: str
    counters: pathlib.Path
    guest_mib: int = GUEST_MIB
    accel: str = "tcg"
    gdb: bool = False
    cpu_off: tuple = ()


def cpu(boot):
    model = CPU_MODEL if boot.accel == "tcg" else "host"
    off = CPU_FEATURES_OFF + boot.cpu_off if boot.accel == "tcg" else boot.cpu_off
    return ",".join([model] + ["-" + feature for feature in off])


def machine_mib(boot):
    return boot.guest_mib + (0 if boot.mode == "native" else HYPERVISOR_MIB)


def command(boot):
    """The QEMU command of `boot`, as a list of arguments."""
    if boot.accel == "tcg":
        execution = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off,align=off"]
    else:
        execution = ["-accel", "kvm"]
    arguments = [QEMU] + execution + [
        "-cpu", cpu(boot),
        "-smp", "1",
        "-seed", str(SEED),
        "-rtc", "clock=vm,base=2024-01-01" if boot.accel == "tcg" else "base=2024-01-01",
        "-m", f"{machine_mib(boot)}M",
        "-nodefaults", "-display", "none", "-no-reboot",
        "-chardev", "stdio,id=console,signal=off",
        "-serial", "chardev:console",
        "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
        "-chardev", f"file,id=counters,path={boot.counters}",
        "-device", f"isa-debugcon,iobase={COUNTERS_PORT:#x},chardev=counters",
        "-kernel", str(boot.kernel),
        "-initrd", str(boot.module),
        "-append", boot.command_line,
    ]
    if boot.gdb:
        arguments += ["-s", "-S"]
    return arguments


def guest_command_line(arguments):
    """The guest kernel's command line for a program and its arguments; empty for the shell."""
    # Arguments may hold blanks, so they are kept apart by the ASCII unit separator.
    return "-- " + "\x1f".join(arguments) if arguments else ""


def hypervisor_command_line(mode, guest_mib, guest_line, hide=()):
    """The guest's line, which begins with "-- ", follows the hypervisor's own options."""
    hidden = f"hide={','.join(hide)} " if hide else ""
    return f"mode={mode} memory={guest_mib << 20} {hidden}{guest_line}".rstrip(" ")
