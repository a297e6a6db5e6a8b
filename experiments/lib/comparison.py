"""Runs the workloads in every mode and gathers what they cost."""

import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

import machine

from . import boots, counters, curves, images, initramfs, launcher, picture, profiler, programs, results, side_by_side, walks
from .errors import UserError
from .programs import SCRIPT

# What is run unless others are named.
USUAL_WORKLOADS = ("mmlat", SCRIPT)
# What the guest gets when mmlat's large rows are asked for: 4 GiB touched, and what a mode needs to map them.
LARGE_GUEST_MIB = 5120
PEERS = images.ROOT / "experiments" / "peers.json"

# A whole program between marks of its own.
_MARKED = """printf "begin $0" >/dev/nopte-mark; "$@"; status=$?; printf "end $0" >/dev/nopte-mark; exit $status"""


def marked(name, command):
    """The command between marks of its own; its status is the whole's."""
    return ["/bin/busybox", "sh", "-c", _MARKED, name, *command]


_SCRIPT_COMMAND = marked(SCRIPT, ["/bin/busybox", "sh", "/script.sh"])


def workload_names():
    """All that can be run: the usual ones, curves, and Debian's programs."""
    return (*USUAL_WORKLOADS, curves.WORKLOAD, *programs.load())


@dataclasses.dataclass
class Comparison:
    modes: list
    peers: list
    about_peers: str
    by_mode: dict = dataclasses.field(default_factory=dict)  # mode → row → Figure
    programs: dict = dataclasses.field(default_factory=dict)  # whole program → mode → Figure
    curves: dict = dataclasses.field(default_factory=dict)  # mode → curves.py's row → Figure
    runs: list = dataclasses.field(default_factory=list)  # command line, seconds, events of each boot
    problems: list = dataclasses.field(default_factory=list)
    facts: dict = dataclasses.field(default_factory=dict)  # versions and sums
    misses: list = dataclasses.field(default_factory=list)
    walks: list = dataclasses.field(default_factory=list)  # a walks.Walked for each row counted by the plugin
    picture: object = None  # of a space: a picture.Picture
    profiles: list = dataclasses.field(default_factory=list)  # profiler.Profile, mode by mode
    by_peer: dict = dataclasses.field(default_factory=dict)  # a key of peers.json → peers.Measured
    peers_script: dict = dataclasses.field(default_factory=dict)  # a key of peers.json → what the script takes there
    peers_programs: dict = dataclasses.field(default_factory=dict)  # Debian's program → the same
    walk_titles: dict = dataclasses.field(default_factory=dict)  # program → what it is called

    @property
    def script(self):
        """Mode → Figure of the usual whole program."""
        return self.programs.get(SCRIPT, {})

    def figure(self, mode, row):
        """A row's Figure, or a whole program's; None where there is none."""
        return self.programs[row].get(mode) if row in self.programs else self.by_mode.get(mode, {}).get(row)

    def on_linux(self, program):
        """What a whole program takes on Debian's Linux by itself, measured now or kept; None: neither."""
        now = self.by_peer.get("linux")
        kept = self.peers_script if program == SCRIPT else self.peers_programs.get(program, {})
        return (now.instructions if now else {}).get(program, kept.get("linux"))

    def rows(self):
        """The peers that some mode measured, in the published order."""
        return [peer for peer in self.peers if any(peer["name"] in rows for rows in self.by_mode.values())]

    def averaged(self):
        """The rows of the means: those that others have, too."""
        return [peer["name"] for peer in self.rows() if not peer["control"] and not peer["own"]]

    def mean_ratio(self, mode, value):
        found = results.ratios(self.by_mode, mode, self.averaged(), value)
        return results.geometric_mean(found.values())


def row_names():
    return [peer["name"] for peer in json.loads(PEERS.read_text())["rows"]]


def check_measure_options(options):
    """Of a command that measures rows: --rows, --scale and --timeout are such as can be run."""
    for row in (getattr(options, "profile", "") or "").split(","):
        if row and row not in row_names():
            raise UserError(f"--profile: there is no row {row}", f"rows are {', '.join(row_names())}")
    for row in (options.rows or "").split(","):
        if row and row not in row_names():
            raise UserError(f"--rows: there is no row {row}", f"rows are {', '.join(row_names())}")
    large = {peer["name"] for peer in json.loads(PEERS.read_text())["rows"] if peer.get("large")}
    named = sorted(large & set((options.rows or "").split(",")))
    if named and not getattr(options, "large", False):
        raise UserError(f"--rows {','.join(named)}: needs {LARGE_GUEST_MIB >> 10} GiB of memory for the guest",
                        "add --large (of experiments/compare)")
    if not options.timeout > 0:
        raise UserError(f"--timeout {options.timeout:g}: not a time", "give seconds, more than 0")
    if not 1 <= options.scale <= 1000:
        raise UserError(f"--scale {options.scale}: out of range", "give 1 to 1000")


# Of boots side by side those begin first that take longest: a Linux to be started, and Xen.
_FOREIGN_WEIGHT = 1
# A child that shares its parent's tables, and has begun to write to them.
_DRAWN_ROW = "cow-child"
_DRAWN = ("vma", "native")


def jobs(options):
    """Every boot that is asked for, as side_by_side runs it."""
    def boot(mode, workload):
        return side_by_side.Job(mode, workload, lambda console: _boot(mode, workload, options, console),
                                _FOREIGN_WEIGHT * (mode in machine.FOREIGN_MODES))

    def walk(program, mode):
        return side_by_side.Job(mode, f"{program.name}, walks", lambda console: walks.run(program, mode, options.guest_mib,
                                                                                          options.timeout, console))

    def profile(mode):
        return side_by_side.Job(mode, "profile", lambda console: _profile(mode, options, console),
                                _FOREIGN_WEIGHT * (mode in machine.FOREIGN_MODES))

    def drawn(mode):
        return side_by_side.Job(mode, "a picture of a space", lambda console: _draw(mode, options, console))

    return ([drawn(mode) for mode in _drawn(options)]
            + [boot(mode, workload) for mode in options.modes for workload in options.workloads for _ in range(_rounds(options))]
            + [walk(program, mode) for program in _walked(options) for mode in options.modes]
            + [profile(mode) for mode in _profiled(options)])


def _profiled(options):
    return options.modes if options.profile else []


def _profile(mode, options, console):
    timeout = options.peer_timeout if mode in machine.FOREIGN_MODES else options.timeout
    command = ["/bin/mmlat", "--scale", str(options.scale), "--rows", options.profile]
    return profiler.record(mode, command, guest_mib=options.guest_mib, timeout=timeout, output=console)


def _drawn(options):
    """The mode that a picture of a space is drawn in, if any: for looking, beside all of mmlat."""
    found = [mode for mode in _DRAWN if mode in options.modes and "mmlat" in options.workloads and not options.rows]
    return found[:1]


def _draw(mode, options, console):
    """A picture.Picture, and its boot: pictures are taken at each mark, so that this one is not measured."""
    with tempfile.TemporaryDirectory(prefix="nopte-picture-") as folder:
        boot = boots.make(pathlib.Path(folder), mode, ["/bin/mmlat", "--rows", _DRAWN_ROW], pictures=True)
        arguments = machine.command(boot)
        done = launcher.run(arguments, boot.counters, options.timeout, output=console)
    return arguments, done, picture.chosen(picture.all_of(done), f"begin {_DRAWN_ROW}")


def _rounds(options):
    return 2 if options.check else 1


def _walked(options):
    return walks.programs(json.loads(PEERS.read_text())["rows"], _SCRIPT_COMMAND, options.large) if options.walks else []


def gather(options, outcomes):
    """The comparison, from the outcomes of jobs(). Mode by mode, in their order."""
    published = json.loads(PEERS.read_text())
    found = Comparison(options.modes, published["rows"], published["about"], peers_script=published["script"],
                       peers_programs=published.get("programs", {}))
    found.facts = facts(options.guest_mib)
    walked = _walked(options)
    found.walk_titles = {program.name: program.title for program in walked}
    outcomes = iter(outcomes)
    for mode in _drawn(options):
        outcome = next(outcomes)
        if outcome.error is not None:
            found.problems.append(f"{mode}, a picture of a space: {outcome.error}")
            continue
        command, done, found.picture = outcome.value
        found.runs.append(run_of(mode, "a picture of a space", command, done))
    for mode in options.modes:
        for workload in options.workloads:
            first = None
            for _ in range(_rounds(options)):
                outcome = next(outcomes)
                try:
                    if outcome.error is not None:
                        raise outcome.error
                    command, done = outcome.value
                    if first is None:
                        first = done
                        _take(found, mode, workload, command, done)
                    else:
                        found.problems += differences(f"{mode}, {workload}", first.events, done.events)
                except UserError as error:
                    found.problems.append(f"{mode}, {workload}: {error}")
    for program in walked:
        for mode in options.modes:
            _walk(found, program, mode, next(outcomes))
    for mode in _profiled(options):
        _take_profiles(found, mode, options, next(outcomes))
    found.misses = results.misses(found.by_mode, found.peers) if options.scale == 100 else []
    found.misses += curves.misses(found.curves)
    return found


def _take_profiles(found, mode, options, outcome):
    try:
        if outcome.error is not None:
            raise outcome.error
        profiles, failed = profiler.rows(outcome.value, mode, options.profile.split(","), {peer["name"]: peer["title"] for peer in found.peers})
    except UserError as error:
        found.problems.append(f"{mode}, profile: {error}")
        return
    found.profiles += profiles
    found.problems += [f"{mode}, profile, row {row}: {why}" for row, why in failed.items()]


def _walk(found, program, mode, outcome):
    """One boot with the plugin, into `found`."""
    try:
        if outcome.error is not None:
            raise outcome.error
        done, lines, command = outcome.value
        rows, failed = walks.walked(program, mode, done, lines)
    except UserError as error:
        found.problems.append(f"{mode}, {program.name} with walks: {error}")
        return
    found.walks += rows
    found.facts["modelled processor"] = walks.processor(lines)
    found.runs.append(run_of(mode, f"{program.name}, walks", command, done))
    found.problems += [f"{mode}, {program.name} with walks, row {row}: {why}" for row, why in failed.items()]
    if done.status != 0 and not failed:
        found.problems.append(f"{mode}, {program.name} with walks: ended with status {done.status}")


def run_of(mode, workload, command, done):
    """What a report says of one boot; `done` is a launcher.Run."""
    return {"mode": mode, "workload": workload, "command": shlex.join(command), "status": done.status,
            "seconds": round(done.seconds, 2), "processor": round(done.processor, 2), "power_off": counters.power_off(done.events)}


def _boot(mode, workload, options, console):
    """QEMU's command, and a launcher.Run."""
    extra, tree, guest_mib = (), None, options.guest_mib
    if workload == "mmlat":
        command = ["/bin/mmlat", "--scale", str(options.scale)] + (["--rows", options.rows] if options.rows else [])
        command += ["--large"] if options.large else []
    elif workload == SCRIPT:
        command = _SCRIPT_COMMAND
    elif workload == curves.WORKLOAD:
        command, extra = [curves.GUEST_PROGRAM], [(curves.PROGRAM, curves.GUEST_PROGRAM)]
    else:
        program = programs.load()[workload]
        command, extra, tree = marked(program.name, program.arguments()), programs.extra(), programs.tree([program])
        guest_mib = max(guest_mib, programs.GUEST_MIB)
    timeout = options.peer_timeout if mode in machine.FOREIGN_MODES else options.timeout
    with tempfile.TemporaryDirectory(prefix="nopte-compare-") as folder:
        boot = boots.make(pathlib.Path(folder), mode, command, extra=extra, tree=tree, guest_mib=guest_mib)
        arguments = machine.command(boot)
        return arguments, launcher.run(arguments, boot.counters, timeout, output=console, hidden=boot.hidden)


def _take(found, mode, workload, command, done):
    found.runs.append(run_of(mode, workload, command, done))
    if unimplemented := counters.power_off(done.events).get("unimplemented"):
        found.facts.setdefault("unimplemented", {})[f"{mode}, {workload}"] = unimplemented
    if workload in ("mmlat", curves.WORKLOAD):
        rows, failed = results.figures(mode, done.console, done.events)
        found.problems += [f"{mode}, row {row}: {why}" for row, why in failed.items()]
        for row in failed:
            rows.pop(row, None)
        if done.status != 0 and not failed:
            found.problems.append(f"{mode}, {workload}: ended with status {done.status}")
        (found.by_mode if workload == "mmlat" else found.curves)[mode] = rows
        return
    found.programs.setdefault(workload, {})[mode] = results.whole_program(workload, mode, done.events)
    if done.status != 0:
        found.problems.append(f"{mode}, {workload}: ended with status {done.status}")
    if difference := difference_from_linux(workload, done.console):
        found.problems.append(f"{mode}, {workload}: {difference}")


def script_on_host():
    """What the script prints on this host, by busybox's applets alone."""
    with tempfile.TemporaryDirectory(prefix="nopte-applets-") as folder:
        for applet in initramfs.applets():
            os.symlink(images.BUSYBOX, pathlib.Path(folder) / applet)
        # Its files have fixed names there, and other comparisons may run it at the same time.
        fcntl.flock(shared := os.open("/tmp", os.O_RDONLY), fcntl.LOCK_EX)
        try:
            done = subprocess.run([images.BUSYBOX, "sh", images.WORKLOADS / "script.sh"], capture_output=True,
                                  env={"PATH": folder}, stdin=subprocess.DEVNULL, timeout=60, check=False)
        finally:
            os.close(shared)
    if done.returncode != 0:
        raise UserError(f"the script fails on this host: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def difference_from_linux(program, console):
    """What in `console` differs from what the program prints on Linux; empty when it is all there, line after line."""
    there = script_on_host() if program == SCRIPT else programs.load()[program].expected().decode(errors="replace")
    there = there.splitlines()
    lines = console.decode(errors="replace").replace("\r", "").split("\n")
    if there[0] not in lines:
        return "it printed nothing of what it prints on Linux"
    lines = lines[lines.index(there[0]):]
    for number, line in enumerate(there):
        if number >= len(lines) or lines[number] != line:
            got = lines[number] if number < len(lines) else "the end"
            return f"line {number + 1} is {got!r}, on Linux {line!r}"
    return ""


def differences(label, first, second):
    """Where two runs' counters channels differ: they should be the same, bit by bit."""
    if first == second:
        return []
    for one, other in zip(first, second):
        if one != other:
            return [f"{label}: two runs differ at {one.get('text', one['event'])!r}: {one} and {other}"]
    return [f"{label}: two runs differ: {len(first)} and {len(second)} events"]


def facts(guest_mib=machine.GUEST_MIB):
    """What this comparison was run with."""
    return {
        "guest image": str(images.GUEST.relative_to(images.ROOT)),
        "guest image SHA-256": _sum(images.GUEST),
        "hypervisor image SHA-256": _sum(images.HYPERVISOR),
        "mmlat SHA-256": _sum(images.MMLAT),
        "QEMU": qemu_version(),
        "busybox": _first_line([images.BUSYBOX, "--help"]),
        "compiler": _first_line(["g++", "--version"]),
        "source": source(),
        "guest memory": f"{guest_mib} MiB",
        "hypervisor's own memory": f"{machine.HYPERVISOR_MIB} MiB on top",
    }


def qemu_version():
    return _first_line([machine.QEMU, "--version"])


def source():
    """Which commit this is; without a repository of its own, or without git, what sets these sources apart."""
    if (images.ROOT / ".git").exists() and shutil.which("git"):
        return _first_line(["git", "-C", images.ROOT, "describe", "--always", "--dirty"])
    files = subprocess.run([images.ROOT / "tests" / "support" / "sources", "", "--", "pvops", "native-fallback", "hv-mm",
                            "guest-mm", "experiments"], capture_output=True, text=True, check=True).stdout.splitlines()
    found = hashlib.sha256()
    for name in files:
        if "__pycache__" not in name:
            found.update(f"{name}\0{_sum(images.ROOT / name)}\n".encode())
    return f"no commit; SHA-256 of the sources {found.hexdigest()[:16]}"


def _sum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_line(command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.split("\n")[0].strip() or "unknown"
