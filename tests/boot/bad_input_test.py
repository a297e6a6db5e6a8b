"""Bad input to the hypervisor and the guest: always a message, never a hang, a reset or a status of 0."""

import pathlib
import struct
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, cpio, images, initramfs, launcher  # noqa: E402

SECONDS = 30
GUEST_MIB = 128


class BadInput(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def boot(self, mode="vma", module=None, line=None, **fields):
        """A boot of `true`, with another module or command line if given."""
        made = boots.make(self.folder, mode, ["true"], guest_mib=GUEST_MIB)
        if module is not None:
            made.module.write_bytes(module)
        if line is not None:
            made.command_line = line
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    def console_of_failure(self, boot, command=None):
        """Boots; demands an end by itself with a status other than 0 and with words; gives the console."""
        try:
            done = launcher.run(command or machine.command(boot), boot.counters, SECONDS)
        except launcher.BootError as error:
            self.assertIn(error.reason, ("failed", "refused"), str(error))
            console = error.console
        else:
            self.assertNotEqual(done.status, 0, done.console)
            console = done.console
        text = console.decode(errors="replace")
        self.assertRegex(text, "[a-z]{3,} [a-z]{2,}", "no message")
        return text

    def parts(self, guest=None, files=None):
        return [("guest", images.GUEST.read_bytes() if guest is None else guest),
                ("initramfs", initramfs.build().bytes() if files is None else files)]


class BundleTest(BadInput):
    def test_a_cut_bundle(self):
        whole = bundle.build(self.parts())
        for length in (1, 15, 60, 4096, len(whole) // 2):
            with self.subTest(length=length):
                self.console_of_failure(self.boot(module=whole[:length]))

    def test_something_else_than_a_bundle(self):
        text = self.console_of_failure(self.boot(module=b"\x7fELF" + bytes(8192)))
        self.assertIn("bundle", text)

    def test_no_module(self):
        boot = self.boot()
        command = machine.command(boot)
        at = command.index("-initrd")
        del command[at:at + 2]
        self.console_of_failure(boot, command)

    def test_missing_parts(self):
        self.console_of_failure(self.boot(module=bundle.build(self.parts()[1:])))
        self.console_of_failure(self.boot(module=bundle.build(self.parts()[:1])))

    def test_bad_fields(self):
        whole = bundle.build(self.parts())
        for offset, value in ((8, 7), (12, 0), (12, 1000), (32, 1), (32, 0xFFFF_F000), (40, 0xFFFF_FFFF)):
            with self.subTest(offset=offset, value=value):
                broken = bytearray(whole)
                struct.pack_into("<I", broken, offset, value)
                self.console_of_failure(self.boot(module=bytes(broken)))


class CommandLineTest(BadInput):
    def test_bad_lines(self):
        for line in ("", "mode=bogus memory=134217728", "memory=134217728", "mode=vma", "mode=vma memory=lots",
                     "mode=vma memory=99999999999999999999999", "mode=vma memory=134217729",
                     "mode=vma memory=134217728 bogus=1"):
            with self.subTest(line=line):
                self.console_of_failure(self.boot(line=line))

    def test_more_memory_than_the_machine_has(self):
        line = f"mode=vma memory={1 << 40} -- /bin/true"
        self.assertIn("memory", self.console_of_failure(self.boot(line=line)))

    def test_a_program_that_is_not_there(self):
        for mode in ("native", "vma"):
            text = self.console_of_failure(boots.make(self.folder, mode, ["/no/such"], guest_mib=GUEST_MIB))
            self.assertIn("/no/such", text)


class MachineTest(BadInput):
    def test_without_svm(self):
        text = self.console_of_failure(self.boot(cpu_off=("svm",)))
        self.assertIn("SVM", text)

    def test_too_little_memory(self):
        for mode in ("native", "vma"):
            boot = self.boot(mode)
            command = machine.command(boot)
            # QEMU lays the module at the end of memory, whatever is there: less would be over the image.
            command[command.index("-m") + 1] = f"{(boot.module.stat().st_size >> 20) + 4}M"
            with self.subTest(mode=mode):
                try:
                    self.console_of_failure(boot, command)
                except AssertionError as error:
                    # QEMU itself refuses what does not fit the machine.
                    if "QEMU refused" not in str(error):
                        raise


class GuestImageTest(BadInput):
    # Offsets in the ELF header, and in the first program header: (offset, format, value).
    HEADER = ((0, "B", 0), (4, "B", 1), (5, "B", 2), (16, "H", 3), (18, "H", 40), (32, "Q", 0), (32, "Q", 1 << 62),
              (54, "H", 7), (56, "H", 0), (56, "H", 0xFFFF))
    SEGMENT = ((8, "Q", 1 << 62), (16, "Q", 0x1234), (16, "Q", 1 << 62), (32, "Q", 1 << 62), (40, "Q", 0),
               (40, "Q", 1 << 62))

    def broken(self):
        image = images.GUEST.read_bytes()
        segments = struct.unpack_from("<Q", image, 32)[0]
        for base, fields in ((0, self.HEADER), (segments, self.SEGMENT)):
            for offset, form, value in fields:
                copy = bytearray(image)
                struct.pack_into("<" + form, copy, base + offset, value)
                yield f"byte {base + offset} = {value:#x}", bytes(copy)
        yield "empty", b""
        yield "cut", image[:8192]
        yield "no note", image.replace(b"nopte\0", b"zzzzz\0")

    def test_malformed_images(self):
        for mode in ("nested", "vma"):
            for label, image in self.broken():
                with self.subTest(label, mode=mode):
                    self.console_of_failure(self.boot(mode, bundle.build(self.parts(guest=image))))


class InitramfsTest(BadInput):
    def broken(self):
        whole = initramfs.build().bytes()
        yield "not cpio", bytes(range(256)) * 64
        yield "cut", whole[:len(whole) // 2]
        yield "bad digit", whole[:60] + b"Z" + whole[61:]
        yield "endless name", whole[:94] + b"FFFFFFFF" + whole[102:]
        yield "endless file", whole[:54] + b"FFFFFFFF" + whole[62:]
        yield "empty", b""
        yield "nothing in it", cpio.Archive().bytes()

    def test_malformed_archives(self):
        for mode in ("native", "vma"):
            for label, archive in self.broken():
                with self.subTest(label, mode=mode):
                    module = archive if mode == "native" else bundle.build(self.parts(files=archive))
                    if mode == "native" and not archive:
                        continue  # QEMU hands over no empty module
                    self.console_of_failure(self.boot(mode, module))


class ProgramTest(BadInput):
    """Malformed programs: exec refuses them or they are killed; the kernel goes on."""

    # As GuestImageTest's; then a segment over the stack's place and one in the kernel's half.
    HEADER = ((0, "B", 0), (4, "B", 1), (5, "B", 2), (16, "H", 1), (18, "H", 40), (24, "Q", 1 << 63), (32, "Q", 0),
              (32, "Q", 1 << 62), (32, "Q", (1 << 64) - 8), (54, "H", 7), (56, "H", 0), (56, "H", 0xFFFF))
    SEGMENT = ((8, "Q", 1 << 62), (8, "Q", 1), (16, "Q", 0x1234), (16, "Q", 1 << 62), (16, "Q", (1 << 64) - 4096),
               (32, "Q", 1 << 62), (40, "Q", 1 << 46), (40, "Q", (1 << 64) - 1), (40, "Q", 0))

    def test_malformed_programs(self):
        programs = self.folder / "programs"
        programs.mkdir()
        image = images.MMLAT_EXIT.read_bytes()
        count = 0
        segments = struct.unpack_from("<Q", image, 32)[0]
        loads = [at for at in range(segments, segments + 56 * struct.unpack_from("<H", image, 56)[0], 56)
                 if struct.unpack_from("<I", image, at)[0] == 1]
        for base, fields in ((0, self.HEADER), (loads[0], self.SEGMENT), (loads[-1], self.SEGMENT)):
            for offset, form, value in fields:
                copy = bytearray(image)
                struct.pack_into("<" + form, copy, base + offset, value)
                (programs / f"{count:03}").write_bytes(copy)
                count += 1
        for length in (0, 1, 16, 63, 64, 100, 200):
            (programs / f"{count:03}").write_bytes(image[:length])
            count += 1
        for path in programs.iterdir():
            path.chmod(0o755)
        script = "for p in /programs/*; do $p 2>/dev/null; echo ended $p; done; echo alive; exit 7"
        for mode in ("native", "vma"):
            boot = boots.make(self.folder, mode, ["sh", "-c", script], extra=[(programs, "/programs")],
                              guest_mib=GUEST_MIB)
            done = launcher.run(machine.command(boot), boot.counters, SECONDS)
            text = done.console.decode(errors="replace").replace("\r", "")
            self.assertEqual(done.status, 7, text)
            self.assertEqual(text.count("ended /programs/"), count, text)
            self.assertIn("\nalive\n", text)


if __name__ == "__main__":
    unittest.main()
