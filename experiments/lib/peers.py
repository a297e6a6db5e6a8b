"""The same programs on Debian's Linux: by itself, under KVM, as Xen's first domain, and as user-mode Linux.

Every boot is of the one emulated machine. mmlat and the script run one after the other in one boot, as a boot takes longer
than most rows.
"""

import dataclasses
import gzip
import json
import pathlib
import re
import tempfile

import machine

from . import comparison, cpio, images, initramfs, kvm_host, launcher, linux, packages, programs as whole_programs, results, side_by_side
from .errors import UserError

INIT = images.PROGRAMS / "peer-init"
# mmlat where user memory ends below 512 GiB.
MMLAT_LOW = images.PROGRAMS / "mmlat-low"
TARGETS = (kvm_host.TARGET, "peer-init", "mmlat-low")
GUEST_MIB = machine.GUEST_MIB
# Xen's own memory, or that of the Linux that carries user-mode Linux, comes on top.
XEN_MIB = 256
CARRIER_MIB = 512

_CONSOLE = ("quiet", "loglevel=1", "panic=-1", "cryptomgr.notests=1")
# The kernel's log goes to the monitor alone; marks are at the default level, which must pass.
_MARKED = ("earlycon=uart8250,io,0x2f8", "keep_bootcon", "loglevel=5", "printk.devkmsg=on", "printk.time=0", "panic=-1",
           "cryptomgr.notests=1", "peer_console=ttyS0", "peer_marks=1")
_XEN_OPTIONS = ("xpti=no spec-ctrl=no com1=115200,8n1 console=com1 loglvl=warning guest_loglvl=warning no-real-mode edd=off "
                "dom0_max_vcpus=1")
# Rows whose figure is of a size: at another scale they are other rows.
_SIZED = ("fork-64m", "fork-1g", "fork-4g")
_PROGRAM = re.compile(r"^program (\S+) status (\d+) instructions (\d+)\s*$", re.MULTILINE)


@dataclasses.dataclass
class Peer:
    name: str  # its key in peers.json
    title: str
    packages: tuple
    boot: object  # (folder, commands, folder with more files or None) → machine.Boot
    marked: bool = False  # its marks come with exits
    weight: int = 2  # side_by_side.Job's
    percent: int = 100  # of mmlat's repetitions and sizes; at less than 100 rows of the means alone, and none whose figure is of a size


@dataclasses.dataclass
class Measured:
    """What one peer took. Instructions, and exits where they are counted, by row, per operation; the script's by "script"."""

    instructions: dict
    exits: dict
    reasons: dict  # row → KVM's counter → per operation
    failed: dict  # row → why

    def beside(self, other):
        """Both as one; `other` may be None."""
        if other is None:
            return self
        return Measured(*({**theirs, **ours} for theirs, ours in zip(dataclasses.astuple(other), dataclasses.astuple(self))))


def programs(scale, rows):
    """Name → command line: what every peer runs."""
    mmlat = ["/bin/mmlat", "--scale", str(scale)] + (["--rows", rows] if rows else [])
    return {"mmlat": mmlat, "script": ["/bin/busybox", "sh", "/script.sh"]}


def archive(commands, extra=(), tree=None):
    """The initramfs of a Linux that runs `commands` over the files of `tree`, if there is one, and of programs. Two archives, one behind the other, which the kernel reads as one."""
    files = cpio.Archive()
    files.file("init", INIT.read_bytes(), 0o755)
    files.file("peer/programs", "".join("\t".join((name, *words)) + "\n" for name, words in commands.items()).encode())
    for guest, host, mode in extra:
        files.file(guest, host if isinstance(host, bytes) else pathlib.Path(host).read_bytes(), mode)
    return initramfs.build(whole_programs.extra() if tree else (), tree).bytes() + files.bytes()


def _natively(folder, commands, tree):
    return linux_boot(folder, archive(commands, tree=tree), GUEST_MIB)


def linux_boot(folder, files, mib):
    """Debian's kernel by itself on the emulated machine, with what archive() answered as its files."""
    module = folder / "initramfs.cpio"
    module.write_bytes(files)
    line = " ".join((*_CONSOLE, "console=ttyS0", "peer_console=ttyS0", *linux.OPTIONS))
    return machine.Boot("native", linux.kernel().elf, module, line, folder / "counters.jsonl", guest_mib=mib)


def _under_kvm(mode):
    def boot(folder, commands, tree):
        host = linux.kernel()
        module = folder / "kvm-host.cpio"
        line = " ".join((*_MARKED, *linux.OPTIONS))
        module.write_bytes(kvm_host.archive(mode, host.elf.read_bytes(), archive(commands, tree=tree), line, GUEST_MIB))
        return machine.Boot(mode, host.elf, module, kvm_host.command_line(), folder / "counters.jsonl",
                            module_bytes=module.stat().st_size, guest_mib=GUEST_MIB)

    return boot


def _on_xen(folder, commands, tree):
    xen = packages.files(packages.fetch("xen"), lambda path: re.fullmatch(r"boot/xen-[\d.]+-amd64\.gz", path))
    if len(xen) != 1:
        raise UserError("Xen's package holds no hypervisor, or several", f"delete {packages.FOLDER / 'xen'}, and run this again")
    (folder / "xen").write_bytes(gzip.decompress(next(iter(xen.values()))))
    (folder / "initramfs.cpio").write_bytes(archive(commands, tree=tree))
    line = " ".join((*_CONSOLE, "console=hvc0", "peer_console=hvc0", *linux.OPTIONS))
    # QEMU's list of modules: each a file and what follows its name on its command line; a comma in it is doubled.
    modules = f"{linux.kernel().image} {line.replace(',', ',,')},{folder / 'initramfs.cpio'}"
    options = f"dom0_mem={GUEST_MIB}M,max:{GUEST_MIB}M {_XEN_OPTIONS}"
    return machine.Boot("native", folder / "xen", modules, options, folder / "counters.jsonl", guest_mib=GUEST_MIB + XEN_MIB)


def _in_user_mode(folder, commands, _):
    kernel = packages.files(packages.fetch("user-mode-linux"), lambda path: path == "usr/bin/linux.uml")
    if not kernel:
        raise UserError("the package user-mode-linux holds no usr/bin/linux.uml",
                        f"delete {packages.FOLDER / 'user-mode-linux'}, and run this again")
    line = ["/uml/linux", f"mem={GUEST_MIB}M", "initrd=/uml/initramfs.cpio", "con=null", "con0=fd:0,fd:1", "quiet", "panic=-1",
            "peer_console=tty0"]
    inside = archive(commands, [("bin/mmlat", MMLAT_LOW, 0o755)])
    extra = [("uml/linux", next(iter(kernel.values())), 0o755), ("uml/initramfs.cpio", inside, 0o644)]
    extra += [(path, path, 0o755) for path in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6")]
    return linux_boot(folder, archive({"uml": line}, extra), GUEST_MIB + CARRIER_MIB)


ALL = (
    Peer("linux", "Linux", ("kernel",), _natively),
    Peer("kvm_npt", "Linux under KVM, nested paging", ("kernel",), _under_kvm(machine.KVM_NESTED), marked=True),
    Peer("kvm_shadow", "Linux under KVM, shadow paging", ("kernel",), _under_kvm(machine.KVM_SHADOW), marked=True, weight=3),
    Peer("xen_pv", "Linux on Xen, PV", ("kernel", "xen"), _on_xen),
    # A page fault is 65,000 instructions there: all of mmlat would take longer than all others together.
    Peer("uml", "user-mode Linux", ("kernel", "user-mode-linux"), _in_user_mode, weight=4, percent=25),
)


NAMES = tuple(peer.name for peer in ALL)


@dataclasses.dataclass
class Peers:
    by_peer: dict = dataclasses.field(default_factory=dict)  # name → Measured
    runs: list = dataclasses.field(default_factory=list)  # as Comparison's
    problems: list = dataclasses.field(default_factory=list)


def _asked(options):
    return [peer for peer in ALL if peer.name in options.peers]


def jobs(options):
    """A boot for each peer that is asked for, and one for each of Debian's programs there, as side_by_side runs it."""
    return [side_by_side.Job(peer.title, what, lambda console, peer=peer, program=program: _boot(peer, program, options, console), peer.weight)
            for peer, program, what in _boots(options)]


def _boots(options):
    """(peer, Debian's program or None, what it is called)."""
    found = []
    for peer in _asked(options):
        found.append((peer, None, "mmlat and script"))
        found += [(peer, known, known.name) for name in options.workloads if peer.percent == 100 and (known := whole_programs.load().get(name))]
    return found


def _boot(peer, program, options, console):
    """QEMU's command, and a launcher.Run."""
    commands = ({program.name: program.arguments()} if program
                else programs(max(1, options.scale * peer.percent // 100), options.rows or rows_of(peer)))
    tree = whole_programs.tree([program]) if program else None
    with tempfile.TemporaryDirectory(prefix="nopte-peer-") as name:
        boot = peer.boot(pathlib.Path(name), commands, tree)
        command = machine.command(boot)
        return command, launcher.run(command, boot.counters, options.peer_timeout, output=console)


def rows_of(peer):
    """The rows of mmlat that it runs, with commas between; None: all of the usual ones."""
    if peer.percent == 100:
        return None
    return ",".join(row["name"] for row in json.loads(comparison.PEERS.read_text())["rows"] if not row["own"] and row["name"] not in _SIZED)


def gather(options, outcomes):
    """What the outcomes of jobs() measured; writes peers.json when it was all of mmlat. A peer that cannot be had or fails is a
    problem, and no more."""
    found = Peers()
    for (peer, program, what), outcome in zip(_boots(options), outcomes, strict=True):
        try:
            if outcome.error is not None:
                raise outcome.error
            command, done = outcome.value
            here = measured(peer, done) if program is None else measured_program(peer, program, done)
        except UserError as error:
            found.problems.append(f"{peer.title}{f', {what}' if program else ''}: {error}")
            continue
        found.by_peer[peer.name] = here.beside(found.by_peer.get(peer.name))
        found.runs.append(comparison.run_of(peer.title, what, command, done))
        found.problems += [f"{peer.title}, {row}: {why}" for row, why in here.failed.items()]
    if found.by_peer and options.scale == 100 and not options.rows:
        write(comparison.PEERS, found.by_peer, comparison.facts())
    return found


def write(path, by_peer, facts):
    """Puts what was measured into peers.json. Figures of peers that were not measured now stay, and so does what they are of."""
    kept = json.loads(path.read_text())
    whole = {"script": kept["script"]} | kept.setdefault("programs", {})
    for here in by_peer.values():
        for name in here.instructions.keys() & whole_programs.load().keys():
            whole[name] = kept["programs"].setdefault(name, {})
    for name, row in [*((row["name"], row) for row in kept["rows"]), *whole.items()]:
        for peer, here in by_peer.items():
            if name in here.instructions:
                row[peer] = round(here.instructions[name])
            if name in here.exits:
                row[f"{peer}_exits"] = round(here.exits[name], 2)
    for peer in ALL:
        if peer.name in by_peer:
            versions = [packages.version(packages.fetch(name)) for name in peer.packages]
            kept["measured"][peer.name] = {"title": peer.title, "packages": versions, "options": " ".join(linux.OPTIONS),
                                           "QEMU": facts.get("QEMU", ""), "mmlat --scale": peer.percent}
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in kept["rows"])
    head = {key: value for key, value in kept.items() if key != "rows"}
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-len("\n}")]
    path.write_text(f'{text},\n "rows": [\n{lines}\n ]\n}}\n')


def measured(peer, done):
    """What `done`, a launcher.Run of the peer's boot, measured."""
    console = done.console.decode(errors="replace").replace("\r", "")
    rows, failed = results.parse_rows(done.console)
    if "empty" not in rows:
        raise UserError(f"{peer.title}: mmlat measured nothing", f"its console:\n{console[-2000:]}")
    left_out = ("empty", *(_SIZED if peer.percent != 100 else ()))
    found = Measured({row: ticks / ops for row, (ops, ticks) in rows.items() if row not in left_out}, {}, {}, failed)
    _take_program(found, comparison.SCRIPT, console, done.console)
    if peer.marked:
        figures, missed = results.figures(peer.name, done.console, done.events)
        failed.update(missed)
        figures["script"] = results.whole_program("script", peer.name, done.events)
        _take_exits(found, figures)
    return found


def measured_program(peer, program, done):
    """The same of a boot for one of Debian's programs."""
    found = Measured({}, {}, {}, {})
    _take_program(found, program.name, done.console.decode(errors="replace").replace("\r", ""), done.console)
    if peer.marked and program.name not in found.failed:
        _take_exits(found, {program.name: results.whole_program(program.name, peer.name, done.events)})
    return found


def _take_program(found, name, text, console):
    for ended, status, ticks in _PROGRAM.findall(text):
        if status != "0":
            found.failed[ended] = f"ended with status {status}"
        if ended == name:
            found.instructions[name] = int(ticks)
    if name not in found.instructions:
        found.failed[name] = "it did not end"
    elif difference := comparison.difference_from_linux(name, console):
        found.failed[name] = difference


def _take_exits(found, figures):
    found.exits = {row: figure.memory_exits for row, figure in figures.items()}
    found.reasons = {row: {name: value / figure.ops for name, value in figure.counters.items()} for row, figure in figures.items()}
