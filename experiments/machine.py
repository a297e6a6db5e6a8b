"""The emulated machine: the one place that says what every figure was measured on.

One processor, one QEMU thread, and a clock that counts executed instructions: with icount the time-stamp
counter runs at exactly 1 GHz, one tick per instruction, the same on every run and host. String instructions
with fast-repeat features, and state components whose cost depends on history, are switched off so that counts
repeat. With --accel kvm the same devices sit under the host's processor, and nothing is counted.
"""

import dataclasses
import functools
import pathlib
import subprocess
import sys

QEMU = "qemu-system-x86_64"
CPU_MODEL = "EPYC"
CPU_FEATURES_OFF = ("erms", "xsaveopt", "xsavec", "xsaves", "smap")
SEED = 42

# What the guest gets, in every mode, unless --memory says otherwise; and the least that --memory takes.
GUEST_MIB = 1024
LEAST_GUEST_MIB = 64
# The hypervisor's own memory comes on top: text, tables, metadata of every frame, and the bundle it was given. A bundle
# that is larger than usual brings its own, so that what fits natively fits in every mode.
HYPERVISOR_MIB = 128
USUAL_BUNDLE_MIB = 24

# A PC has a gap below 4 GiB: with more memory than 3.5 GiB, this much of it lies below the gap.
LOW_MIB = 3072

EXIT_PORT = 0xF4
COUNTERS_PORT = 0xE9

# QEMU gives up what it does not need: other programs, other users' rights, system calls of old.
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

# What a hypervisor can be made to hide from its guest (hv-mm/boot/options.h).
HIDEABLE = ("memory", "queue", "words", "usage", "installed", "switch", "platform", "xen", "vmi", "lguest", "kvmpv", "version")

MODES = ("native", "nested", "shadow", "vma", "kvmpv", "vmi", "lguest", "xen")

# The same image on hypervisors that are not ours, which Debian's packages are downloaded for.
KVM_SHADOW, KVM_NESTED = KVM_MODES = ("kvm-shadow", "kvm-nested")
XEN_PV = "xenpv"
FOREIGN_MODES = KVM_MODES + (XEN_PV,)
ALL_MODES = MODES + FOREIGN_MODES
# KVM's host, a Linux: its own memory comes on top, and what its files take, packed and unpacked.
KVM_HOST_MIB = 256
# Xen: its heap and tables, likewise.
XEN_MIB = 192


@dataclasses.dataclass
class Boot:
    """One boot: what QEMU is given."""

    mode: str
    kernel: pathlib.Path
    module: pathlib.Path
    command_line: str
    counters: pathlib.Path
    module_bytes: int = 0
    hidden: bytes = b""  # lines on the console that begin so are not the guest's
    guest_mib: int = GUEST_MIB
    accel: str = "tcg"
    gdb: bool = False
    cpu_off: tuple = ()


def cpu(boot):
    model = CPU_MODEL if boot.accel == "tcg" else "host"
    off = CPU_FEATURES_OFF + boot.cpu_off if boot.accel == "tcg" else boot.cpu_off
    return ",".join([model] + ["-" + feature for feature in off])


def machine_mib(boot):
    if boot.mode == "native":
        return boot.guest_mib
    module_mib = -(-boot.module_bytes >> 20)
    if boot.mode == XEN_PV:
        return boot.guest_mib + XEN_MIB + 2 * module_mib
    if boot.mode in KVM_MODES:
        return boot.guest_mib + KVM_HOST_MIB + 2 * module_mib
    own_mib = HYPERVISOR_MIB + max(0, module_mib - USUAL_BUNDLE_MIB)
    if boot.guest_mib + own_mib <= LOW_MIB:
        return boot.guest_mib + own_mib
    # The guest's memory is one piece: it lies above the gap, whole, and the hypervisor's below.
    return LOW_MIB + boot.guest_mib


@functools.cache
def sandbox():
    """QEMU's arguments for its sandbox; none, and a line that says so, where this QEMU or its kernel has none."""
    arguments = ["-sandbox", SANDBOX]
    try:
        # The sandbox is entered before the list is printed.
        tried = subprocess.run([QEMU, *arguments, "-machine", "help"], capture_output=True, text=True, check=False)
    except OSError:
        return arguments  # there is no QEMU, which whoever starts it says
    if tried.returncode == 0:
        return arguments
    why = (tried.stderr.strip().splitlines() or [f"status {tried.returncode}"])[-1]
    print(f"QEMU runs without its sandbox, which it does not have here: {why}", file=sys.stderr)
    return []


def command(boot):
    """The QEMU command of `boot`, as a list of arguments."""
    if boot.accel == "tcg":
        execution = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off,align=off"]
    else:
        execution = ["-accel", "kvm"]
    arguments = [QEMU, *sandbox()] + execution + [
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


def guest_command_line(arguments, verbose=False, pictures=False, aslr=None):
    """The guest kernel's command line for a program and its arguments; without them, for the shell. `pictures`: each mark is
    followed by a picture of the space (lib/picture.py). `aslr`: the seed of random addresses."""
    # Arguments may hold blanks, so they are kept apart by the ASCII unit separator.
    program = "-- " + "\x1f".join(arguments) if arguments else ""
    return _words("verbose" if verbose else "", "picture" if pictures else "", "" if aslr is None else f"aslr={aslr}", program)


def hypervisor_command_line(mode, guest_mib, guest_line, hide=()):
    """The guest's line, which begins with "verbose", "picture", "aslr=" or "-- ", follows the hypervisor's own options."""
    return _words(f"mode={mode} memory={guest_mib << 20}", f"hide={','.join(hide)}" if hide else "", guest_line)


def _words(*words):
    return " ".join(word for word in words if word)
