import gzip
import lzma
import pathlib
import struct
import subprocess
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401

import machine  # noqa: E402
from lib import boots, kvm_host, linux, packages  # noqa: E402
from lib.errors import UserError  # noqa: E402

ELF = b"\x7fELF and the rest of a kernel" * 100


def image(packed):
    """A bzImage of one sector of setup code, whose payload is `packed`."""
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 16, len(packed))
    return bytes(head) + bytes(16) + packed + b"what follows"


def module(*needed):
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0name=x\0"


def zstd(data, said=None):
    """A frame of one raw block (RFC 8878) of at most 128 KiB, and behind it the length that it is said to have."""
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    length = len(data) if said is None else said
    return b"\x28\xb5\x2f\xfd" + b"\x00\x38" + block + data + length.to_bytes(4, "little")


class ImageTest(unittest.TestCase):
    def test_the_elf_file_comes_out_of_each_packing(self):
        for packed in (lzma.compress(ELF, format=lzma.FORMAT_XZ) + b"size", gzip.compress(ELF) + b"size", zstd(ELF)):
            self.assertEqual(linux.elf_of(image(packed)), ELF)

    def test_what_is_no_kernel_is_said_to_be_none(self):
        for bad, why in ((b"", "no bzImage"), (bytes(4096), "no bzImage"), (image(b"????????"), "not known here"),
                         (image(lzma.compress(b"text", format=lzma.FORMAT_XZ)), "no ELF file"),
                         (image(b"\xfd7zXZ\0" + bytes(64)), "cannot be unpacked"), (image(b"\x1f\x8b" + bytes(64)), "cannot be unpacked"),
                         (image(zstd(ELF)[:100]), "cannot be unpacked"), (image(zstd(ELF, said=len(ELF) - 1)), "cannot be unpacked"),
                         (image(zstd(ELF, said=0xFFFFFFFF)), "cannot be unpacked"), (image(zstd(b"text")), "no ELF file"),
                         (image(zstd(ELF)[:5]), "cannot be unpacked")):
            with self.assertRaisesRegex(UserError, why):
                linux.elf_of(bad)

    def test_no_program_is_needed_to_unpack_one(self):
        with mock.patch.dict("os.environ", PATH=""):
            self.assertEqual(linux.elf_of(image(zstd(ELF))), ELF)

    def test_a_module_says_what_it_needs(self):
        self.assertEqual(linux.depends(module()), [])
        self.assertEqual(linux.depends(module("kvm", "ccp")), ["kvm", "ccp"])
        self.assertEqual(linux.depends(b"nothing"), [])


class PackageTest(unittest.TestCase):
    """A kernel's package, made here, in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for patch in (mock.patch.object(packages, "FOLDER", self.folder / "packages"),
                      mock.patch.object(packages.images, "ROOT", self.folder)):
            patch.start()
            self.addCleanup(patch.stop)

    def package(self, **files):
        tree = self.folder / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text("Package: linux-image\nVersion: 6.1-1\nArchitecture: amd64\n"
                                                 "Maintainer: nobody <n@example.org>\nDescription: a test\n")
        for path, data in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
        (packages.FOLDER / "kernel").mkdir(parents=True)
        subprocess.run(["dpkg-deb", "-b", "--root-owner-group", tree, packages.FOLDER / "kernel" / "linux-image-6_6.1-1_amd64.deb"], check=True,
                       capture_output=True)

    def usual(self, **other):
        kernel = image(lzma.compress(ELF, format=lzma.FORMAT_XZ))
        modules = "lib/modules/6/kernel"
        return {"boot/vmlinuz-6": kernel, f"{modules}/irqbypass.ko": module(), f"{modules}/ccp.ko": module(),
                f"{modules}/kvm.ko": module("irqbypass"), f"{modules}/kvm-amd.ko.xz": lzma.compress(module("kvm", "ccp")),
                f"{modules}/other.ko": module("kvm")} | other

    def test_kernel_and_the_modules_of_kvm_in_their_order(self):
        self.package(**self.usual())
        for _ in range(2):  # unpacked, and found
            kernel = linux.kernel()
            self.assertEqual(kernel.elf.read_bytes(), ELF)
            self.assertEqual([path.name for path in kernel.modules], ["irqbypass.ko", "kvm.ko", "ccp.ko", "kvm-amd.ko"])
            self.assertEqual(kernel.modules[-1].read_bytes(), module("kvm", "ccp"))
            self.assertEqual(kernel.version, "linux-image-6 6.1-1")

    def test_a_kernel_without_kvm_amd(self):
        files = self.usual()
        del files["lib/modules/6/kernel/kvm-amd.ko.xz"]
        self.package(**files)
        for _ in range(2):
            with self.assertRaisesRegex(UserError, "no module kvm-amd: that kernel cannot run KVM"):
                linux.kernel()

    def test_a_package_without_a_kernel(self):
        files = self.usual()
        del files["boot/vmlinuz-6"]
        self.package(**files)
        with self.assertRaisesRegex(UserError, "holds no kernel"):
            linux.kernel()

    def test_what_is_no_package(self):
        (packages.FOLDER / "kernel").mkdir(parents=True)
        (packages.FOLDER / "kernel" / "x.deb").write_bytes(b"text")
        with self.assertRaisesRegex(UserError, "is not a package"):
            linux.kernel()

    def test_a_package_that_cannot_be_had(self):
        installer = self.folder / "installer"
        installer.write_text("#!/bin/sh\necho 'error: this release has no package x' >&2\nexit 1\n")
        installer.chmod(0o755)
        with mock.patch.object(packages, "INSTALLER", installer):
            with self.assertRaisesRegex(UserError, "(?s)this release has no package x.*put its .deb into packages/kernel"):
                linux.kernel()

    def test_the_host_of_kvm_is_given_the_guest_and_the_way_of_paging(self):
        self.package(**self.usual())
        monitor = self.folder / "monitor"
        monitor.write_bytes(b"monitor")
        with mock.patch.object(kvm_host, "MONITOR", monitor):
            for mode, option in ((machine.KVM_SHADOW, b"npt=0"), (machine.KVM_NESTED, b"npt=1")):
                archive = kvm_host.archive(mode, b"the guest's kernel", b"the guest's module", "a line", 640)
                self.assertIn(b"kvm-amd.ko " + option + b" nested=0\n", archive)
                for part in (b"the guest's kernel", b"the guest's module", b"a line", b"640", b"monitor"):
                    self.assertIn(part, archive)


class BootTest(unittest.TestCase):
    def test_kvms_host_has_memory_of_its_own(self):
        boot = machine.Boot(machine.KVM_SHADOW, pathlib.Path("k"), pathlib.Path("m"), "", pathlib.Path("c"),
                            module_bytes=10 << 20, guest_mib=1024)
        self.assertEqual(machine.machine_mib(boot), 1024 + machine.KVM_HOST_MIB + 20)

    def test_what_a_foreign_mode_cannot_do(self):
        for options, why in (({"hide": ("xen",)}, "--hide"), ({"gdb": True}, "--gdb")):
            for mode in machine.KVM_MODES:
                with self.assertRaisesRegex(UserError, why):
                    boots.make(pathlib.Path("/nowhere"), mode, ["true"], **options)


if __name__ == "__main__":
    unittest.main()
