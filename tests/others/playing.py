"""Runs programs one after the other by one shell script: on this machine's Linux, and in the guest, many in a boot."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import tempfile

import building
import sources
from lib import boots, images, launcher
from lib.errors import UserError
import machine

_BEGIN, _END = "== program begins: ", "== program ended: "
_ENDED = re.compile(rf"{_END}(\S+) (\d+)")
_PLACE = "/others"
_OUTPUT_BYTES = 30000
# Programs of a boot: a machine that stops loses what its last program said, and a boot begins again behind it.
_PER_BOOT = 40
_BOOT_SECONDS = 120
_HOST_SLOWER = 6


@dataclasses.dataclass
class Outcome:
    status: int | None  # of the program; None: the machine ended with it
    output: str


def script(programs, slower=1):
    """The first program of a machine of its own, or of a PID namespace: what a program leaves running is ended behind it.
    `slower`: a busy machine's clock goes on, where the guest's counts what it does."""
    lines = ["export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root",
             "mkdir -p /dev/shm /sys /run; mount -t tmpfs tmpfs /dev/shm 2>/dev/null"]
    for program in programs:
        command = shlex.join(["busybox", "setsid", "busybox", "timeout", "-s", "KILL", str(slower * program.timeout), f"./{program.file}",
                              *program.arguments])
        lines += [f"echo '{_BEGIN}{program.name}'",
                  f"(cd {_PLACE}/{program.folder} || exit 99; {program.setup or ':'}\nexec {command}) </dev/null >/run/output 2>&1",
                  f"status=$?; tail -c {_OUTPUT_BYTES} /run/output; echo; echo '{_END}{program.name}' $status",
                  "kill -9 -1 2>/dev/null"]
    return "\n".join(lines) + "\n"


def parse(console):
    """Name → Outcome; the last one without a status, if it did not end."""
    found, name, lines = {}, None, []
    for line in console.replace("\r", "").split("\n"):
        ended = _ENDED.search(line)
        if line.startswith(_BEGIN):
            name, lines = line.removeprefix(_BEGIN), []
        elif name is not None and ended and ended[1] == name:
            found[name], name = Outcome(int(ended[2]), "\n".join(lines)), None
        elif name is not None:
            lines.append(line)
    if name is not None:
        found[name] = Outcome(None, "\n".join(lines))
    return found


def _files(suite, programs, built, folder, slower=1):
    """The folder that becomes /others."""
    for program in programs:
        place = folder / program.folder
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(built[program.name], place / program.file)
        for extra in program.files:
            (place / extra).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sources.folder(suite) / suite.folder / program.folder / extra, place / extra)
    (folder / "run.sh").write_text(script(programs, slower))


def in_guest(suite, programs, built, mode, memory):
    """Name → Outcome of each."""
    found, waiting = {}, list(programs)
    while waiting:
        now = waiting[:_PER_BOOT]
        found |= _boot(suite, now, built, mode, memory)
        waiting = [program for program in waiting if program.name not in found]
    return found


def _boot(suite, programs, built, mode, memory):
    with tempfile.TemporaryDirectory(prefix="nopte-others-") as made:
        folder = pathlib.Path(made)
        _files(suite, programs, built, folder / "others")
        boot = boots.make(folder, mode, ["/bin/busybox", "sh", f"{_PLACE}/run.sh"], extra=[(folder / "others", _PLACE)], guest_mib=memory)
        progress = _Progress(len(programs))
        failed = ""
        try:
            console = launcher.run(machine.command(boot), boot.counters, _BOOT_SECONDS + 10 * len(programs), output=progress,
                                   hidden=boot.hidden).console
        except launcher.BootError as error:
            console, failed = error.console, error.what.splitlines()[0]
    found = parse(console.decode(errors="replace"))
    if not found:
        raise UserError(f"the guest ran none of the programs: {failed}", console.decode(errors="replace")[-2000:])
    for outcome in found.values():
        if outcome.status is None:
            outcome.output += f"\n{failed or 'the machine ended'}"
    return found


class _Progress:
    """Says which program runs, for who waits."""

    def __init__(self, count):
        self._count, self._at, self._held = count, 0, b""

    def __call__(self, data):
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            if line.startswith(_BEGIN.encode()):
                self._at += 1
                images.say(f"  {self._at}/{self._count} {line.strip().decode(errors='replace').removeprefix(_BEGIN)}")


def on_linux(suite, programs, built, again=False):
    """Name → Outcome of each; kept below build/others, by the program's bytes and this machine's version of Linux."""
    kept_file = building.folder(suite) / f"linux-{platform.release()}.json"
    kept = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(kept_file.read_text())
    keys = {program.name: _key(program, built[program.name]) for program in programs}
    missing = [program for program in programs if not program.guest_only and (again or kept.get(program.name, {}).get("key") != keys[program.name])]
    if missing:
        images.say(f"running {len(missing)} programs on Linux {platform.release()}")
        for name, outcome in _host(suite, missing, built).items():
            kept[name] = {"key": keys[name], **dataclasses.asdict(outcome)}
        kept_file.write_text(json.dumps(kept, indent=1))
    found = {name: Outcome(kept[name]["status"], kept[name]["output"]) for name in keys if name in kept}
    return found | {program.name: Outcome(0, "") for program in programs if program.guest_only}


def _key(program, path):
    said = f"{program.arguments} {program.setup}".encode()
    return hashlib.sha256(path.read_bytes() + said).hexdigest()


def _host(suite, programs, built):
    """In a root of its own on a tmpfs, with PIDs, mounts and System V objects of its own, as the guest has them."""
    if os.geteuid() != 0:
        raise UserError("others' tests are run as root, in namespaces of their own", "run this as root")
    with tempfile.TemporaryDirectory(prefix="nopte-others-") as made:
        root = pathlib.Path(made)
        _files(suite, programs, built, root / "others", _HOST_SLOWER)
        setup = f"""set -e
mkdir {root}/root && mount -t tmpfs -o mode=755 tmpfs {root}/root && cd {root}/root
mkdir -p bin dev/pts dev/shm etc proc sys root run tmp && chmod 1777 tmp dev/shm
cp {images.BUSYBOX} bin/busybox; cp -r ../others others
for applet in $(bin/busybox --list); do test -e bin/$applet || ln -s busybox bin/$applet; done
for device in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do set -- $device; mknod -m 666 dev/$1 c $2 $3; done
ln -s /proc/self/fd dev/fd; ln -s pts/ptmx dev/ptmx
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd; echo 'root:x:0:' >etc/group
mount -t proc proc proc; mount -t sysfs sysfs sys || true; mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts dev/pts
exec chroot . /bin/busybox sh {_PLACE}/run.sh
"""
        said, progress = b"", _Progress(len(programs))
        with subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "sh", "-c", setup],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            for line in process.stdout:
                progress(line)
                said += line
    return parse(said.decode(errors="replace"))
