import io
import pathlib
import subprocess
import tempfile
import unittest
from unittest import mock

import support
import machine
from lib import boots, initramfs
from lib.errors import UserError



def call(program, *arguments):
    return subprocess.run([support.ROOT / "experiments" / program, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)


class BadInputTest(unittest.TestCase):
    def refused(self, what, program, *arguments):
        done = call(program, *arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(what, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_boot(self):
        self.refused("invalid choice: 'bogus'", "boot", "--mode", "bogus")
        self.refused("unrecognized arguments: --bogus", "boot", "--bogus")
        for size in ("much", "1GiB", "-1", "1e3", "", "0x100"):
            self.refused("not an amount of memory", "boot", f"--memory={size}")
        self.refused("not whole MiB", "boot", "--memory", "1000K")
        self.refused("not a time", "boot", "--timeout", "0")
        self.refused("--counters /no/such/file", "boot", "--counters", "/no/such/file")
        self.refused("invalid choice: 'bogus'", "boot", "--hide", "bogus")
        self.refused("there is no hypervisor", "boot", "--mode", "native", "--hide", "memory", "--", "ls")
        self.refused("/no/such does not exist", "boot", "--with", "/no/such", "--", "ls")

    def test_compare(self):
        self.refused("there is no mode bogus", "compare", "--modes", "vma,bogus")
        self.refused("names no mode", "compare", "--modes", ",")
        self.refused("there is no bogus", "compare", "--workload", "bogus")
        self.refused("there is no row bogus", "compare", "--rows", "brk,bogus")
        self.refused("not a time", "compare", "--timeout", "-1")
        self.refused("not a time", "compare", "--timeout", "0")
        self.refused("add --large", "compare", "--rows", "brk,fork-4g")
        self.refused("nothing to run", "compare", "--workload", "none")
        self.refused("out of range", "compare", "--scale", "0")
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "precious").write_text("x")
            self.refused("something else than a report", "compare", "--out", folder)
            self.refused("not a folder", "compare", "--out", f"{folder}/precious")

    def test_census(self):
        self.refused("there is no row bogus", "census", "--rows", "bogus")
        self.refused("out of range", "census", "--scale", "0")
        self.refused("not a time", "census", "--timeout", "0")
        self.refused("--json /no/such/file", "census", "--json", "/no/such/file")

    def test_help(self):
        for program in ("boot", "census", "compare"):
            done = call(program, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn("usage: experiments/", done.stdout)


class CommandLineTest(unittest.TestCase):
    def boot(self, **options):
        fields = {"mode": "vma", "kernel": pathlib.Path("K"), "module": pathlib.Path("M"), "command_line": "L",
                  "counters": pathlib.Path("C")} | options
        return machine.command(machine.Boot(**fields))

    def test_the_counting_machine(self):
        command = self.boot()
        self.assertIn("shift=0,sleep=off,align=off", command)
        self.assertIn("EPYC,-erms,-xsaveopt,-xsavec,-xsaves,-smap", command)
        self.assertNotIn("-S", command)

    def test_memory_is_the_guests(self):
        self.assertIn("256M", self.boot(mode="native", guest_mib=256))
        self.assertIn(f"{256 + machine.HYPERVISOR_MIB}M", self.boot(guest_mib=256))

    def test_memory_is_written_as_for_qemu(self):
        for text, mib in (("1024", 1024), ("1024M", 1024), ("1g", 1024), ("1G", 1024), ("1.5G", 1536), ("65536k", 64),
                          ("67108864B", 64), ("0.125T", 128 << 10), ("63", 63)):
            self.assertEqual(boots.memory_mib(text), mib, text)

    def test_a_guest_too_large_for_low_memory_lies_above_the_gap(self):
        boot = machine.Boot("vma", "k", "m", "", "c", guest_mib=5120)
        self.assertEqual(machine.machine_mib(boot), 3072 + 5120)
        boot.guest_mib = 3072 - 128
        self.assertEqual(machine.machine_mib(boot), 3072)
        boot.mode, boot.guest_mib = "native", 5120
        self.assertEqual(machine.machine_mib(boot), 5120)

    def test_a_large_bundle_brings_its_own_memory(self):
        usual = machine.USUAL_BUNDLE_MIB << 20
        self.assertEqual(self.boot(module_bytes=usual), self.boot())
        mib = machine.GUEST_MIB + machine.HYPERVISOR_MIB + 100
        self.assertIn(f"{mib}M", self.boot(module_bytes=usual + (100 << 20) - 1))
        self.assertIn(f"{machine.GUEST_MIB}M", self.boot(mode="native", module_bytes=usual + (100 << 20)))

    def test_kvm_does_not_count(self):
        command = self.boot(accel="kvm")
        self.assertIn("kvm", command)
        self.assertNotIn("-icount", command)

    def test_gdb_waits(self):
        self.assertIn("-S", self.boot(gdb=True))

    def test_the_guests_command_line(self):
        self.assertEqual(machine.guest_command_line([]), "")
        self.assertEqual(machine.guest_command_line(["/bin/sh", "-c", "a b"]), "-- /bin/sh\x1f-c\x1fa b")
        self.assertEqual(machine.hypervisor_command_line("vma", 64, "-- /x"), "mode=vma memory=67108864 -- /x")
        self.assertEqual(machine.hypervisor_command_line("vma", 64, ""), "mode=vma memory=67108864")
        self.assertEqual(machine.hypervisor_command_line("vma", 64, "-- /x", ["memory", "xen"]),
                         "mode=vma memory=67108864 hide=memory,xen -- /x")
        self.assertEqual(machine.guest_command_line([], verbose=True), "verbose")
        self.assertEqual(machine.guest_command_line(["/x"], verbose=True), "verbose -- /x")
        self.assertEqual(machine.guest_command_line(["/x"], aslr=0), "aslr=0 -- /x")
        # The last argument's blanks are its own.
        self.assertEqual(machine.hypervisor_command_line("vma", 64, "-- /x\x1fa  "), "mode=vma memory=67108864 -- /x\x1fa  ")
        self.assertEqual(boots.in_guest("ls"), "/bin/ls")
        self.assertEqual(boots.in_guest("/x/ls"), "/x/ls")

    def test_with(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "name"
            path.write_text("x")
            self.assertEqual(initramfs.parse_with(str(path)), (path, "/name"))
            self.assertEqual(initramfs.parse_with(f"{path}:/a/b"), (path, "/a/b"))
        self.assertRaises(UserError, initramfs.parse_with, "/no/such")

    def test_too_little_memory_and_too_long_a_command(self):
        with tempfile.TemporaryDirectory() as folder:
            for options in ({"guest_mib": 4}, {"guest_mib": 65}):
                self.assertRaises(UserError, boots.make, pathlib.Path(folder), "vma", [], **options)


class SandboxTest(unittest.TestCase):
    """QEMU runs in its sandbox; one that has none is said to have none, once, and runs."""

    def arguments(self, script):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(machine, "QEMU", f"{folder}/qemu"), \
                mock.patch("sys.stderr", io.StringIO()) as said:
            if script is not None:
                path = pathlib.Path(machine.QEMU)
                path.write_text(f"#!/bin/sh\n{script}\n")
                path.chmod(0o755)
            machine.sandbox.cache_clear()
            self.addCleanup(machine.sandbox.cache_clear)
            boot = machine.Boot("vma", pathlib.Path("K"), pathlib.Path("M"), "L", pathlib.Path("C"))
            first, second = machine.command(boot), machine.command(boot)
        self.assertEqual(first, second)
        return first[1:3], said.getvalue()

    def test_a_qemu_with_a_sandbox(self):
        self.assertEqual(self.arguments("exit 0"), (["-sandbox", machine.SANDBOX], ""))

    def test_a_qemu_without(self):
        script = 'case "$*" in *-sandbox*) echo "qemu: -sandbox support is not enabled" >&2; exit 1;; esac'
        arguments, said = self.arguments(script)
        self.assertNotIn("-sandbox", arguments)
        self.assertEqual(said, "QEMU runs without its sandbox, which it does not have here: "
                               "qemu: -sandbox support is not enabled\n")

    def test_no_qemu_is_said_by_whoever_starts_it(self):
        self.assertEqual(self.arguments(None), (["-sandbox", machine.SANDBOX], ""))


if __name__ == "__main__":
    unittest.main()
