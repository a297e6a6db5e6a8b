import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401
from lib import cpio, dynamic, initramfs, package_tree, packages
from lib.errors import UserError

# Stands in for apt-get: what it would unpack, and what comes of downloading it.
APT = """#!/bin/sh
echo "$@" >>"$HERE/asked"
case "$*" in
  *--simulate*) [ -n "$REFUSES" ] && { echo "E: $REFUSES" >&2; exit 100; }
    echo "Inst libone ($VERSION Debian:12/stable [$ARCHITECTURE])"
    echo "Inst two (1-1 Debian:12/stable, Debian-Security:12/stable-security [all]) []"
    echo "Conf two (1-1 Debian:12/stable [all])";;
  *--download-only*) [ -n "$OFFLINE" ] && { echo "E: Failed to fetch http://archive/two.deb  Could not resolve 'archive'" >&2; exit 100; }
    : >"$HERE/packages/apt/archives/libone_1%3a2_amd64.deb"; : >"$HERE/packages/apt/archives/two_1-1_all.deb";;
esac
"""


class ClosureTest(unittest.TestCase):
    def setUp(self):
        self.here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.here / "bin").mkdir()
        (self.here / "bin" / "apt-get").write_text(APT)
        (self.here / "bin" / "apt-get").chmod(0o755)
        self.enterContext(mock.patch.object(packages, "FOLDER", self.here / "packages"))
        self.unpacked = []
        self.enterContext(mock.patch.object(package_tree, "unpack", self.unpack))
        self.enterContext(mock.patch.object(package_tree.images, "say"))

    def unpack(self, debs, root):
        self.unpacked.append([deb.name for deb in debs])
        root.mkdir()

    def tree(self, *names, **behaviour):
        settings = {"VERSION": "1:2", "ARCHITECTURE": "amd64", "REFUSES": "", "OFFLINE": "", **behaviour}
        with mock.patch.dict(os.environ, {"PATH": f"{self.here}/bin:/usr/bin:/bin", "HERE": str(self.here), **settings}):
            return package_tree.tree(names)

    def refusal(self, *names, **behaviour):
        with self.assertRaises(UserError) as caught:
            self.tree(*names, **behaviour)
        return str(caught.exception)

    def test_all_that_apt_would_unpack_is_unpacked_once(self):
        first = self.tree("two")
        self.assertEqual(self.unpacked, [["libone_1%3a2_amd64.deb", "two_1-1_all.deb"]])
        self.assertEqual(self.tree("two"), first)
        self.assertEqual(len(self.unpacked), 1)
        # Nor is apt asked again while its lists are the same.
        self.assertEqual((self.here / "asked").read_text().count("--simulate"), 1)

    def test_what_was_downloaded_needs_no_archive(self):
        first = self.tree("two")
        self.assertEqual(self.tree("two", OFFLINE="1"), first)

    def test_an_archive_that_cannot_be_reached(self):
        said = self.refusal("two", OFFLINE="1")
        self.assertIn("--package two: the archive cannot be reached: Failed to fetch http://archive/two.deb", said)
        self.assertEqual(self.unpacked, [])

    def test_an_unknown_package(self):
        for complaint in ("Unable to locate package two", "Package 'two' has no installation candidate"):
            self.assertIn("--package two: the archive's lists have no such package for amd64", self.refusal("two", REFUSES=complaint))

    def test_what_else_apt_says_is_passed_on(self):
        self.assertIn("--package two: apt-get: The list of sources could not be read.",
                      self.refusal("two", REFUSES="The list of sources could not be read."))

    def test_another_architecture(self):
        self.assertIn("--package two:arm64: the guest's processor is amd64", self.refusal("two:arm64"))
        self.assertIn("libone is for i386", self.refusal("two", ARCHITECTURE="i386"))

    def test_not_a_name(self):
        for name in ("Two", "--two", "", "two three", "../two"):
            self.assertIn("not a package's name", self.refusal(name))

    def test_without_apt(self):
        (self.here / "bin" / "apt-get").unlink()
        with mock.patch.dict(os.environ, {"PATH": str(self.here / "bin")}):
            self.assertRaisesRegex(UserError, "this is no Debian", package_tree.tree, ["two"])


@unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not installed")
class UnpackTest(unittest.TestCase):
    def setUp(self):
        self.here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def deb(self, name, files):
        folder = self.here / name
        (folder / "DEBIAN").mkdir(parents=True)
        (folder / "DEBIAN" / "control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: m <m@m>\n"
                                                   "Description: d\n")
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        deb = self.here / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder, deb], check=True, stdout=subprocess.DEVNULL)
        return deb

    def test_usr_is_merged_whatever_a_package_thinks(self):
        root = self.here / "root"
        package_tree.unpack([self.deb("old", {"bin/one": "1", "lib64/ld.so": "ld", "usr/share/doc/old/copyright": "c"}),
                             self.deb("new", {"usr/bin/two": "2", "etc/conf": "c"})], root)
        self.assertTrue((root / "bin").is_symlink() and (root / "lib64").is_symlink())
        self.assertEqual(sorted(path.name for path in (root / "usr" / "bin").iterdir()), ["one", "two"])
        self.assertEqual((root / "usr" / "lib64" / "ld.so").read_text(), "ld")
        self.assertFalse((root / "usr" / "share" / "doc").exists())
        self.assertEqual(stat.S_IMODE((root / "tmp").stat().st_mode), 0o1777)

    def test_what_is_no_package_is_said(self):
        deb = self.here / "no.deb"
        deb.write_text("no package")
        self.assertRaisesRegex(UserError, "no.deb cannot be unpacked", package_tree.unpack, [deb], self.here / "root")


class TreeInArchiveTest(unittest.TestCase):
    def setUp(self):
        self.tree = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.tree / "usr" / "bin").mkdir(parents=True)
        (self.tree / "bin").symlink_to("usr/bin")
        (self.tree / "usr" / "bin" / "ls").write_text("theirs")
        (self.tree / "absolute").symlink_to("/etc/hostname")

    def test_links_stay_links_and_what_is_there_is_kept(self):
        archive = initramfs.build(tree=self.tree)
        self.assertTrue(archive.holds("bin/ls") and archive.holds("usr/bin/busybox") and archive.holds("usr/bin/cat"))
        data = archive.bytes()
        self.assertEqual((data.count(b"usr/bin/ls\0"), data.count(b"theirs"), data.count(b"\0bin/ls\0")), (1, 1, 0))
        self.assertIn(b"absolute\0", data)
        self.assertIn(b"/etc/hostname", data)
        self.assertEqual(initramfs.found(archive, "ls"), "/bin/ls")
        self.assertIsNone(initramfs.found(archive, "no-such"))

    def test_alone(self):
        archive = initramfs.build(tree=self.tree, own=False)
        self.assertFalse(archive.holds("bin/busybox"))
        self.assertTrue(archive.holds("proc") and archive.holds("tmp"))

    def test_a_link_in_a_circle(self):
        archive = cpio.Archive()
        archive.symlink("a", "b")
        archive.symlink("b", "a")
        self.assertRaises(UserError, archive.file, "a/c", b"")


class DynamicTest(unittest.TestCase):
    def test_libraries_of_programs_of_this_machine(self):
        self.assertTrue(any(path.endswith("/libc.so.6") for path in dynamic.libraries("/bin/ls")))
        self.assertTrue(any("ld-linux" in path for path in dynamic.libraries("/bin/ls")))

    def test_what_is_none(self):
        with tempfile.NamedTemporaryFile() as file:
            for data in (b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 58, b"\x7fELF\x02\x01" + bytes(58)):
                pathlib.Path(file.name).write_bytes(data)
                self.assertEqual(dynamic.libraries(file.name), [])


if __name__ == "__main__":
    unittest.main()
