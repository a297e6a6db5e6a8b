#!/usr/bin/python3
"""An NMI of the machine's, by QMP: the hypervisor says where its guest is and the guest goes on, whether it runs or is
idle. A key on the console ends each wait of the guest's (tests/boot/hostile, scenario "keys")."""

import json
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, counters, images  # noqa: E402

SECONDS = 60
GUEST_MIB = 64
HOSTILE = images.GUEST.parent / "hostile-guest"


class Session:
    """A boot with its console and QMP."""

    def __init__(self, folder, mode):
        module = folder / "bundle"
        module.write_bytes(bundle.build([(boots.GUEST_PART, HOSTILE.read_bytes())]))
        line = machine.hypervisor_command_line(mode, GUEST_MIB, f"-- {mode} keys")
        boot = machine.Boot(mode, images.HYPERVISOR, module, line, folder / "counters", guest_mib=GUEST_MIB)
        self.counters = boot.counters
        ours, theirs = socket.socketpair()
        command = machine.command(boot) + ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                                           "-mon", "chardev=qmp,mode=control"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        pass_fds=[theirs.fileno()])
        theirs.close()
        self.qmp = ours.makefile("rw")
        ours.close()
        self.console = b""
        self.seen = 0
        self.ask("qmp_capabilities")

    def ask(self, command):
        self.qmp.write(json.dumps({"execute": command}) + "\n")
        self.qmp.flush()
        for line in self.qmp:
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer
        raise AssertionError(f"QEMU went away: {self.console!r}")

    def wait_for(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.console[self.seen:]:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            more = self.process.stdout.read1() if ready else b""
            if not more:
                raise AssertionError(f"{text!r} did not come: {self.console!r}")
            self.console += more
        self.seen = self.console.index(text, self.seen) + len(text)

    def key(self):
        self.process.stdin.write(b"k")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.qmp.close()


class NmiTest(unittest.TestCase):
    def test_the_guest_goes_on(self):
        for mode in ("vma", "nested"):
            with self.subTest(mode=mode), tempfile.TemporaryDirectory() as folder:
                session = Session(pathlib.Path(folder), mode)
                self.addCleanup(session.end)
                for state in (b"running", b"idle"):
                    session.wait_for(b"hostile: " + state + b"\n")
                    for _ in range(3):
                        self.assertNotIn("error", session.ask("inject-nmi"))
                        session.wait_for(b"nopte-hv: NMI: the guest goes on at rip 0xffffffff801")
                    session.key()
                session.wait_for(b"hostile: done\n")
                session.process.wait(SECONDS)
                events = counters.read(session.counters)
                self.assertEqual([e["event"] for e in events], ["boot"] + ["nmi"] * 6 + ["power_off"])
                self.assertEqual(counters.power_off(events)["status"], 0)


if __name__ == "__main__":
    unittest.main()
