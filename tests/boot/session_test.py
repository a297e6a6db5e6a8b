"""experiments/boot and experiments/compare as a user runs them: a terminal session, one command, a small comparison."""

import json
import os
import pathlib
import pty
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments"))

import machine  # noqa: E402

BOOT = ROOT / "experiments" / "boot"
COMPARE = ROOT / "experiments" / "compare"
SECONDS = 90


def boot(*arguments, stdin=subprocess.DEVNULL, **options):
    return subprocess.run([BOOT, "--memory", "128", *arguments], capture_output=True, timeout=SECONDS, stdin=stdin,
                          check=False, **options)


class CommandTest(unittest.TestCase):
    def test_status_and_output_of_one_command(self):
        done = boot("--mode", "vma", "--", "/bin/busybox", "sh", "-c", "echo out; exit 203")
        self.assertEqual(done.returncode, 203, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], b"out")

    def test_files_of_the_users(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text("found it\n")
            done = boot("--mode", "native", "--with", f"{folder}:/given", "--", "cat", "/given/deep/file")
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, b"found it"), done.stderr)

    def test_programs_find_users_and_what_the_kernel_has(self):
        done = boot("--mode", "native", "--", "sh", "-c",
                    "grep -c ^CONFIG_FUTEX=y /boot/config-$(uname -r); id -u nobody; id -g daemon")
        self.assertEqual((done.returncode, done.stdout.splitlines()[-3:]), (0, [b"1", b"65534", b"1"]), done.stderr)

    def test_counters_are_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "counters"
            self.assertEqual(boot("--mode", "vma", "--counters", path, "--", "true").returncode, 0)
            events = [json.loads(line) for line in path.read_text().splitlines()]
        self.assertEqual(events[-1]["event"], "power_off")
        self.assertGreater(events[-1]["counters"]["exits_memory"], 0)

    def test_a_time_limit_ends_an_endless_program(self):
        done = boot("--timeout", "5", "--", "sh", "-c", "echo looping; while :; do :; done")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"did not end within 5 s", done.stderr)
        self.assertIn(b"| looping", done.stderr)

    def test_dry_run_prints_a_command(self):
        done = boot("--dry-run", "--mode", "shadow", "--", "true")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b" -accel tcg,thread=single -icount", done.stdout)
        self.assertIn(b"qemu-system-x86_64 -sandbox on,", done.stdout)
        words = shlex.split(done.stdout.decode())
        shutil.rmtree(pathlib.Path(words[words.index("-initrd") + 1]).parent)

    def test_one_line_says_which_mode_it_is(self):
        for mode in machine.MODES:
            with self.subTest(mode=mode):
                done = boot("--mode", mode, "--", "true")
                own = [line for line in done.stderr.splitlines() if line.startswith(b"nopte") and b"unimpl" not in line]
                self.assertEqual(len(own), 1, own)
                self.assertIn(f"mode {mode}".encode(), own[0])

    def test_verbose_says_what_is_not_offered(self):
        done = boot("--mode", "shadow", "--verbose", "--", "true")
        self.assertIn(b"offers none of memory calls", done.stderr)
        self.assertIn(b"nopte: mode native", done.stderr)

    def test_each_boot_has_its_own_files(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "tmp").mkdir()
            environment = os.environ | {"TMPDIR": str(folder / "tmp")}
            running = []
            for number in range(2):
                (folder / f"{number}").write_text(f"file {number}\n")
                running.append(subprocess.Popen([BOOT, "--mode", "native", "--memory", "64M", "--with",
                                                 f"{folder}/{number}:/given", "--", "cat", "/given"], env=environment,
                                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            printed = [process.communicate(timeout=SECONDS)[0] for process in running]
            self.assertEqual(printed, [b"file 0\n", b"file 1\n"])
            self.assertEqual(list((folder / "tmp").iterdir()), [], "left behind")
        modules = {word for _ in range(2) for word in boot("--dry-run", "--mode", "native").stdout.split()
                   if word.endswith(b"initramfs.cpio")}
        self.addCleanup(lambda: [shutil.rmtree(pathlib.Path(module.decode()).parent) for module in modules])
        self.assertEqual(len(modules), 2)

    def test_a_seed_decides_the_addresses(self):
        program = ROOT / "build" / "programs" / "tests" / "randomized"

        def addresses(*arguments, mode="native"):
            done = boot("--mode", mode, "--with", f"{program}:/randomized", *arguments, "--", "/randomized", "show")
            self.assertEqual(done.returncode, 0, done.stderr)
            return dict(line.split() for line in done.stdout.decode().splitlines()[-5:])

        one = addresses("--aslr", "1")
        self.assertEqual(addresses("--aslr", "1", mode="vma"), one)
        other = addresses("--aslr", str(2**64 - 1))
        self.assertEqual([name for name in one if one[name] == other[name]], [])
        usual = addresses()
        self.assertEqual(usual["program"][:9], "555555555")
        self.assertEqual(usual["heap"][:9], "555555559")
        self.assertEqual((usual["mapping"][:5], usual["stack"][:7]), ("7ffff", "7ffffff"))
        # The program's own checks, with its setting on.
        done = boot("--mode", "native", "--aslr", "3", "--with", f"{program}:/randomized", "--", "/randomized")
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, b"ok"), done.stdout)
        refused = boot("--aslr", str(2**64), "--", "true")
        self.assertEqual(refused.returncode, 2)
        self.assertIn(b"not a seed", refused.stderr)

    def test_input_from_a_pipe(self):
        done = subprocess.run([BOOT, "--memory", "128"], input=b"echo $((6 * 7))\nexit 9\n", capture_output=True,
                              timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 9, done.stderr)
        self.assertIn(b"\n42\n", done.stdout)

    def test_kvm_works_or_says_what_to_do(self):
        for mode in ("native", "vma"):
            done = boot("--mode", mode, "--accel", "kvm", "--timeout", "20", "--", "sh", "-c", "exit 5")
            if done.returncode != 5:
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"-accel tcg", done.stderr)


class TerminalTest(unittest.TestCase):
    """A session over a pseudo terminal."""

    def start(self, *arguments):
        main, self.terminal = pty.openpty()
        self.addCleanup(os.close, main)
        self.addCleanup(os.close, self.terminal)
        self.before = termios.tcgetattr(self.terminal)
        process = subprocess.Popen([BOOT, "--memory", "128", *arguments], stdin=self.terminal, stdout=self.terminal,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.main, self.seen = main, b""
        return process

    def wait_for(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            ready, _, _ = select.select([self.main], [], [], max(0, end - time.monotonic()))
            self.assertTrue(ready, f"{text!r} did not come: {self.seen!r}")
            self.seen += os.read(self.main, 4096)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, text):
        os.write(self.main, text)

    def talk(self, mode):
        process = self.start("--mode", mode)
        self.wait_for(b"# ")
        self.type(b"echo $((1000 + 234))\n")
        self.wait_for(b"1234\r\n")
        # Ctrl-C is the guest's: it ends what runs, not the machine.
        # The shell has left its line editor when the command prints; typed earlier, the key is only input.
        self.type(b"echo lo''op; while :; do :; done\n")
        self.wait_for(b"loop\r\n")
        self.type(b"\x03")
        self.wait_for(b"# ")
        # What prints has made itself the foreground, which the shell's own output does not say of what follows.
        self.type(b"sh -c 'echo sl\"\"eep; exec sleep 100000'\n")
        self.wait_for(b"sleep\r\n")
        self.type(b"\x03")
        self.wait_for(b"# ")
        self.type(b"echo still $((40 + 2))\n")
        self.wait_for(b"still 42\r\n")
        self.type(b"exit 33\n")
        self.assertEqual(process.wait(SECONDS), 33)
        self.assertEqual(termios.tcgetattr(self.terminal), self.before)

    def test_a_shell(self):
        for mode in ("native", "vma"):
            with self.subTest(mode=mode):
                self.talk(mode)

    def test_the_way_out(self):
        process = self.start()
        self.wait_for(b"# ")
        self.type(b"\x1d")
        self.assertEqual(process.wait(SECONDS), 130)
        self.assertEqual(termios.tcgetattr(self.terminal), self.before)


class CompareTest(unittest.TestCase):
    def test_two_runs_give_identical_counts(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "report"
            done = subprocess.run([COMPARE, "--workload", "mmlat", "--rows", "map-unmap,anon-touch,fork-small",
                                   "--scale", "10", "--check", "--out", out], capture_output=True, text=True,
                                  timeout=500, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            results = json.loads((out / "results.json").read_text())
        for mode in ("native", "nested", "shadow", "vma"):
            self.assertEqual(len(results["rows"][mode]), 3)


if __name__ == "__main__":
    sys.exit(unittest.main())
