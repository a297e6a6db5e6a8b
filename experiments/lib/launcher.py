"""Runs one QEMU: console, time limit, and what became of it.

The guest's exit status does not fit QEMU's own (isa-debug-exit carries 7 bits), so it is read from the counters
channel: the "power_off" line. A run without that line failed, and says how and what was printed last.
"""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import re
import selectors
import signal
import subprocess
import sys
import termios
import threading
import time
import tty

from . import counters
from .errors import UserError

# The way out of an interactive boot: Ctrl-] as in telnet.
ESCAPE = b"\x1d"
# A KVM boot prints within this time or not at all.
KVM_SILENCE_SECONDS = 30
_TAIL_BYTES = 4096
# A panic's own line, and not the function of that name among the calls.
_PANIC = re.compile(r"panic(?!\+0x)")
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclasses.dataclass
class Run:
    status: int  # what the guest's first program exited with
    console: bytes
    events: list  # the counters channel, line by line
    seconds: float
    processor: float = 0.0  # seconds of a processor that QEMU used


class BootError(UserError):
    """The machine ended without a power-off. `console` is what it printed, `reason` a word for tests."""

    def __init__(self, reason, what, console, todo=""):
        tail = _tail(console)
        shown = f"\n  last lines on its console:\n{tail}" if tail else "\n  it printed nothing"
        super().__init__(what + shown, todo)
        self.reason = reason
        self.console = console


_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # prctl(2)


def _end_with_parent():
    """In the child: QEMU ends when this program is killed outright, instead of idling on for ever."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, counters_path, timeout, silence=None, output=None, keyboard=None, hidden=b""):
    """Runs QEMU's `command` until it ends.

    timeout: seconds, or None. silence: seconds in which a first byte must come, or None.
    output: a function that is given the console's bytes as they come, or None.
    keyboard: a file descriptor whose bytes go to the console, or None.
    hidden: lines that begin so are left out of the console, but not of what a boot that failed printed last.
    """
    pathlib.Path(counters_path).unlink(missing_ok=True)
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True, preexec_fn=_end_with_parent)
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}",
                        "install it: apt-get install qemu-system-x86 seabios") from error
    with _stops_with_us(process):
        with raw_terminal(keyboard):
            whole, complaint, end = _pump(process, started, timeout, silence, output, keyboard, hidden)
        processor = _processor_seconds(process.pid)
    process.wait()
    console = HiddenLines(hidden).shown(whole, last=True)
    seconds = time.monotonic() - started
    if end == "timeout":
        raise BootError("timeout", f"the guest did not end within {timeout:g} s", whole,
                        "if it only needs longer, give --timeout SECONDS"
                        + ("; under --accel kvm this host may be too slow: try --accel tcg" if silence else ""))
    if end == "silence":
        raise BootError("silence", f"the boot printed nothing for {silence:g} s", whole,
                        "under --accel kvm this host may not run guests at all: use --accel tcg")
    if end == "escape":
        return Run(130, console, [], seconds)
    events = counters.read(counters_path)
    last = counters.power_off(events)
    if last is None:
        raise _explain(process.returncode, complaint, whole)
    if last.get("reason"):
        # The machine ended itself; its status is not a program's.
        raise BootError("refused", f"the machine stopped: {last['reason']}", console, last.get("todo", ""))
    return Run(last["status"] & 0xFF, console, events, seconds, processor)


def _processor_seconds(pid):
    """What a process that was not waited for has used until now: its seconds of the clock depend on what else runs."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime


def _pump(process, started, timeout, silence, output, keyboard, hidden):
    """Moves bytes until QEMU ends; gives console, hidden lines and all, QEMU's complaints, and how it ended."""
    console = bytearray()
    filtered = HiddenLines(hidden)
    begun = False  # a line of the guest's is whole
    complaint = bytearray()
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ, "console")
    selector.register(process.stderr, selectors.EVENT_READ, "complaint")
    typed_ahead = b""
    if keyboard is not None:
        try:
            selector.register(keyboard, selectors.EVENT_READ, "keyboard")
        except PermissionError:
            # A regular file is always ready: the selector does not take it.
            typed_ahead = _read_all(keyboard)
            keyboard = None
    is_terminal = keyboard is not None and os.isatty(keyboard)
    # The console's receiver is reset when the machine starts: what is typed before its first line would be lost.
    early = bytearray(typed_ahead)
    open_streams = 2
    end = "exit"
    while open_streams:
        now = time.monotonic()
        limits = [started + timeout - now] if timeout is not None else []
        if silence is not None and not console:
            limits.append(started + silence - now)
        if limits and min(limits) <= 0:
            end = "timeout" if timeout is not None and now >= started + timeout else "silence"
            process.kill()
            break
        for key, _ in selector.select(min(limits) if limits else None):
            data = os.read(key.fd, 65536)
            if key.data == "keyboard":
                if is_terminal and ESCAPE in data:
                    process.kill()
                    end = "escape"
                else:
                    if not data:
                        selector.unregister(keyboard)
                    early += data or b"\x04"  # end of input, as typed at a terminal
            elif not data:
                selector.unregister(key.fileobj)
                open_streams -= 1
            elif key.data == "console":
                console += data
                shown = filtered.shown(data)
                begun = begun or b"\n" in shown
                if output is not None and shown:
                    output(shown)
            else:
                complaint += data
        if early and begun:
            _type(process, bytes(early))
            early.clear()
    if output is not None and (rest := filtered.shown(b"", last=True)):
        output(rest)
    return bytes(console), bytes(complaint), end


class HiddenLines:
    """A console without the lines that begin with `prefix`, which is empty for none."""

    def __init__(self, prefix):
        self._prefix = prefix
        self._held = b""  # the beginning of a line that may become one of these
        self._inside = None  # of a line that has begun: whether it is hidden

    def shown(self, data, last=False):
        """What of `data`, and of what was held back, is to be seen. `last`: nothing comes behind it."""
        if not self._prefix:
            return data
        found = b""
        data, self._held = self._held + data, b""
        while data:
            if self._inside is None:
                if not last and len(data) < len(self._prefix) and self._prefix.startswith(data):
                    self._held = data
                    break
                self._inside = data.startswith(self._prefix)
            line, end, rest = data.partition(b"\n")
            if not self._inside:
                found += line + end
            if end:
                self._inside = None
            data = rest
        return found


def _type(process, data):
    # QEMU may be gone already; its end is noticed where its output ends.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(data)
        process.stdin.flush()


def _read_all(descriptor):
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        return stream.read() + b"\x04"


_running = set()
_ending = threading.Event()


def end_all():
    """Ends every QEMU that a thread of this program runs, and those that one of them is about to start."""
    _ending.set()
    for process in list(_running):
        process.kill()


@contextlib.contextmanager
def _stops_with_us(process):
    """QEMU does not outlive this program, whatever ends it."""
    def stop(number, _frame):
        raise SystemExit(128 + number)

    _running.add(process)
    if _ending.is_set():
        process.kill()
    # Beside the main thread whoever started the others hears signals (side_by_side.py).
    numbers = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        if process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        if process.poll() is None:
            process.kill()
            process.wait()
        _running.discard(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def raw_terminal(descriptor):
    """Passes every key through, Ctrl-C too, and puts the terminal back as it was."""
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _explain(returncode, complaint, console):
    """Why a QEMU that ended without a power-off did so."""
    text = "\n".join(line for line in complaint.decode(errors="replace").splitlines() if "warning:" not in line)
    if "KVM" in text or "kvm" in text:
        return BootError("kvm", f"QEMU could not use KVM: {text}", console, "use --accel tcg")
    if b"(XEN) Panic" in console:
        return BootError("xen", "Xen stopped without starting the guest, or under it", console,
                         "its reason stands above; another version's package can be put into build/packages/xen")
    if returncode == 1 and text:
        return BootError("qemu", f"QEMU refused to start the machine: {text}", console)
    if returncode < 0:
        return BootError("killed", f"QEMU was ended by {signal.Signals(-returncode).name}", console)
    if returncode == 0:
        return BootError("reset", "the machine was reset without a power-off (a triple fault, or a reboot)", console)
    return BootError("failed", f"the machine stopped without a power-off (QEMU status {returncode})", console)


def _tail(console, lines=12):
    text = console[-_TAIL_BYTES:].decode(errors="replace").replace("\r", "")
    found = [line for line in text.split("\n") if line.strip()]
    # Above a panic's registers and calls stands what it is about.
    panics = [line for line in found[:-lines] if _PANIC.search(line)]
    return "\n".join("    | " + line for line in (*panics[-1:], *found[-lines:]))


class StdoutConsole:
    """Shows the console as it is on a terminal. In a pipe or a file, lines end as the guest's program wrote them,
    and the kernel's own lines ("nopte: ...") go to the standard error."""

    _OWN = b"nopte"

    def __init__(self):
        self._terminal = sys.stdout.isatty()
        self._held = b""
        self._stream = None  # where the rest of the line that has begun goes

    def __call__(self, data):
        if self._terminal:
            _put(sys.stdout, data)
            return
        self._held += data
        while self._held:
            if self._stream is None:
                if len(self._held) < len(self._OWN) and self._OWN.startswith(self._held):
                    return  # too little to tell whose line it is
                self._stream = sys.stderr if self._held.startswith(self._OWN) else sys.stdout
            line, end, rest = self._held.partition(b"\n")
            if end:
                _put(self._stream, line.removesuffix(b"\r") + b"\n")
                self._stream = None
                self._held = rest
            else:
                # A carriage return may be half of a line's end whose other half is still to come.
                _put(self._stream, line.removesuffix(b"\r"))
                self._held = b"\r" if line.endswith(b"\r") else b""
                return

    def finish(self):
        """Shows what was held back in case more came."""
        _put(self._stream or sys.stdout, self._held)
        self._held = b""


def _put(stream, data):
    stream.buffer.write(data)
    stream.buffer.flush()
