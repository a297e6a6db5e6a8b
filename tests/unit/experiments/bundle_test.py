import struct
import unittest

import support  # noqa: F401
from lib import bundle
from lib.errors import UserError

PARTS = [("guest", b"\x7fELF" * 2000), ("initramfs", b""), ("last", b"z")]


class BundleTest(unittest.TestCase):
    def test_the_layout(self):
        data = bundle.build(PARTS)
        self.assertEqual(data[:8], b"NOPTEBUN")
        self.assertEqual(struct.unpack_from("<II", data, 8), (1, 3))
        name, offset, size = struct.unpack_from("<16sQQ", data, 16)
        self.assertEqual((name, offset, size), (b"guest" + bytes(11), 4096, 8000))
        self.assertEqual(data[offset:offset + 4], b"\x7fELF")
        self.assertEqual(len(data) % 4096, 0)

    def test_what_is_built_is_parsed(self):
        self.assertEqual(bundle.parse(bundle.build(PARTS)), PARTS)

    def test_a_cut_bundle_is_refused_at_every_length(self):
        data = bundle.build(PARTS)
        for length in (0, 7, 15, 16, 100, 4095, 4096, 12000, len(data) - 4096):
            with self.subTest(length=length):
                self.assertRaises(UserError, bundle.parse, data[:length])

    def test_bad_names_are_refused(self):
        for parts in ([("", b"")], [("sixteen-letters!", b"")], [("a", b""), ("a", b"")]):
            self.assertRaises(UserError, bundle.build, parts)


if __name__ == "__main__":
    unittest.main()
