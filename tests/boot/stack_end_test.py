#!/usr/bin/python3
"""The hypervisor's stack ends in a page that is not there, and what happens then is still reported: QEMU's debugger
stub moves the stack pointer to the end while a hypercall is handled. What may come at such a moment has stacks of its
own."""

import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, counters, images  # noqa: E402

SECONDS = 60
GUEST_MIB = 64
HOSTILE = images.GUEST.parent / "hostile-guest"
RSP = 7  # the debugger's number
GUARD_BYTES = 4096
STACK_BYTES = 8192  # of g_stacks, each


def symbol(name):
    for line in subprocess.run(["nm", images.HYPERVISOR], check=True, capture_output=True, text=True).stdout.splitlines():
        address, _, found = line.split()[-3:]
        if name in found:
            return int(address, 16)
    raise AssertionError(f"no {name} in {images.HYPERVISOR}")


class Debugger:
    """GDB's remote protocol, as much as is needed."""

    def __init__(self, connection):
        connection.settimeout(SECONDS)
        self.connection = connection

    def send(self, text):
        self.connection.sendall(f"${text}#{sum(text.encode()) & 0xFF:02x}".encode())

    def ask(self, text):
        self.send(text)
        answer = b""
        while b"#" not in answer[:-2]:
            more = self.connection.recv(4096)
            if not more:
                raise AssertionError(f"QEMU went away after {answer!r}")
            answer += more
        self.connection.sendall(b"+")
        return answer.partition(b"$")[2].partition(b"#")[0].decode()


class StackEndTest(unittest.TestCase):
    def stop_at_the_first_call(self):
        """(debugger, boot, its process), with the hypervisor about to handle a hypercall of its guest's."""
        name = tempfile.TemporaryDirectory()
        self.addCleanup(name.cleanup)
        folder = pathlib.Path(name.name)
        module = folder / "bundle"
        module.write_bytes(bundle.build([(boots.GUEST_PART, HOSTILE.read_bytes())]))
        line = machine.hypervisor_command_line("vma", GUEST_MIB, "-- vma")
        boot = machine.Boot("vma", images.HYPERVISOR, module, line, folder / "counters", guest_mib=GUEST_MIB)
        ours, theirs = socket.socketpair()
        command = machine.command(boot) + ["-S", "-chardev", f"socket,id=gdb,fd={theirs.fileno()}",
                                           "-gdb", "chardev:gdb"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        theirs.close()
        self.addCleanup(ours.close)
        debugger = Debugger(ours)
        self.assertEqual(debugger.ask(f"Z1,{symbol('svm_handle_call'):x},1"), "OK")
        self.assertRegex(debugger.ask("c"), "^[TS]05")
        return debugger, boot, process

    def test_a_stack_overflow_is_reported(self):
        debugger, boot, process = self.stop_at_the_first_call()
        end = symbol("g_run_stack") + GUARD_BYTES + 8
        registers = bytearray.fromhex(debugger.ask("g"))
        registers[RSP * 8:RSP * 8 + 8] = end.to_bytes(8, "little")
        self.assertEqual(debugger.ask("G" + registers.hex()), "OK")
        debugger.send("D")
        console = process.communicate(timeout=SECONDS)[0].decode()
        self.assertIn("nopte-hv: exception 0x0000000000000008", console)
        self.assertIn(f"rsp 0x{end - 8:016x}"[:-2], console)
        self.assertEqual(counters.power_off(counters.read(boot.counters))["status"], 127)

    def test_what_comes_at_any_moment_has_a_stack_of_its_own(self):
        debugger, _, _ = self.stop_at_the_first_call()

        def read(name, offset, length):
            return bytes.fromhex(debugger.ask(f"m{symbol(name) + offset:x},{length:x}"))

        stacks = []
        for vector, event in (2, "NMI"), (8, "#DF"), (18, "#MC"):
            with self.subTest(event=event):
                number = read("g_gates", vector * 16 + 4, 1)[0] & 7
                self.assertNotEqual(number, 0)
                stacks.append(int.from_bytes(read("g_task", 36 + 8 * (number - 1), 8), "little"))
        self.assertEqual(sorted(stacks), [symbol("g_stacks") + STACK_BYTES * (n + 1) for n in range(3)])


if __name__ == "__main__":
    unittest.main()
