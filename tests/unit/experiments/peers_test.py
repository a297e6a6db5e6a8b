import json
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

import support

from lib import comparison, peer_tables, peers, results  # noqa: E402
from lib.errors import UserError  # noqa: E402
from lib.launcher import Run  # noqa: E402

PEER = {peer.name: peer for peer in peers.ALL}
SCRIPT = "== done\n"


def done(rows, script="program script status 0 instructions 5000\r\n", marks=True, status=0):
    console, events = support.mmlat_run(rows)
    if marks:
        events[-1:-1] = [support.mark("begin", "script", 0, **support.exits(0, 0, 0)),
                         support.mark("end", "script", 5000, **support.exits(30, 4, 0))]
    return Run(status, console + b"program mmlat status 0 instructions 9\r\n== done\r\n" + script.encode(), events, 1.0)


class MeasuredTest(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.object(comparison, "script_on_host", lambda: SCRIPT)
        patch.start()
        self.addCleanup(patch.stop)

    def test_rows_and_script_without_marks(self):
        found = peers.measured(PEER["linux"], done({"brk": (10, 4000, 0, 0)}, marks=False))
        self.assertEqual(found.instructions, {"brk": 400, "script": 5000})
        self.assertEqual((found.exits, found.failed), ({}, {}))

    def test_exits_come_by_marks(self):
        found = peers.measured(PEER["kvm_shadow"], done({"brk": (10, 4000, 20, 0)}))
        self.assertEqual(found.exits, {"brk": 2, "script": 30})

    def test_what_fails_is_said(self):
        console, events = support.mmlat_run({"brk": (10, 4000, 0, 0)})
        console += b"row populate failed: mmap (Cannot allocate memory)\r\n"
        found = peers.measured(PEER["linux"], Run(0, console, events, 1.0))
        self.assertEqual(found.failed, {"populate": "mmap (Cannot allocate memory)", "script": "it did not end"})
        found = peers.measured(PEER["linux"], done({}, script="program script status 3 instructions 5\n"))
        self.assertEqual(found.failed, {"script": "ended with status 3"})
        with self.assertRaisesRegex(UserError, "(?s)measured nothing.*Kernel panic"):
            peers.measured(PEER["uml"], Run(0, b"Kernel panic", [], 1.0))

    def test_a_script_that_prints_something_else(self):
        with mock.patch.object(comparison, "script_on_host", lambda: "== begin\n== done\n"):
            found = peers.measured(PEER["linux"], done({}))
        self.assertIn("script", found.failed)


class FileTest(unittest.TestCase):
    def write(self, by_peer):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "peers.json"
            shutil.copyfile(comparison.PEERS, path)
            with mock.patch.object(peers.packages, "fetch", lambda name: pathlib.Path(f"{name}_1.2-3_amd64.deb")):
                peers.write(path, by_peer, {"QEMU": "version"})
            return json.loads(comparison.PEERS.read_text()), json.loads(path.read_text())

    def test_what_was_measured_is_put_in_and_the_rest_stays(self):
        here = peers.Measured({"brk": 4321.4, "script": 99.0}, {"brk": 1.234, "script": 3}, {}, {})
        before, after = self.write({"kvm_shadow": here})
        self.assertEqual(after["measured"]["kvm_shadow"]["packages"], ["kernel 1.2-3"])
        for old, new in zip(before["rows"], after["rows"], strict=True):
            if old["name"] == "brk":
                self.assertEqual((new.pop("kvm_shadow"), new.pop("kvm_shadow_exits")), (4321, 1.23))
                old = {key: value for key, value in old.items() if key not in ("kvm_shadow", "kvm_shadow_exits")}
            self.assertEqual(old, new)
        self.assertEqual((after["script"]["kvm_shadow"], after["script"]["kvm_shadow_exits"]), (99, 3))

    def test_the_file_names_only_peers_that_there_are(self):
        kept = json.loads(comparison.PEERS.read_text())
        self.assertLessEqual(set(kept["measured"]), set(peers.NAMES))
        for row in kept["rows"]:
            self.assertLessEqual(set(peers.NAMES), set(row))


class TablesTest(unittest.TestCase):
    def comparison(self):
        rows = [row for row in json.loads(comparison.PEERS.read_text())["rows"] if row["name"] in ("brk", "populate")]
        found = comparison.Comparison(["native", "kvm-shadow"], rows, "")
        for mode, factor in (("native", 1), ("kvm-shadow", 6)):
            figures = {row["name"]: results.Figure(row["name"], mode, 10, 100.0 * factor, 0, 2.5, 0.5, 0,
                                                   {"kvm.pf_taken": 20, "kvm.pf_guest": 10, "kvm.insn_emulation": 7, "kvm.pf_emulate": 2})
                       for row in rows}
            found.by_mode[mode] = figures
        found.by_peer = {"linux": peers.Measured({"brk": 1000, "populate": 1000}, {}, {}, {}),
                         "uml": peers.Measured({"brk": 4000, "populate": 9000}, {}, {}, {})}
        return found

    def test_peers_beside_each_other(self):
        head, rows = peer_tables.peer_table(self.comparison())
        self.assertEqual(head[1:], ("Linux", "user-mode"))
        self.assertEqual(rows[-1], ("geometric mean, × Linux", "1.00", "6.00"))
        self.assertEqual(len(rows), 3)

    def test_ours_beside_linux_on_one_hypervisor(self):
        head, rows = peer_tables.beside_table(self.comparison())
        self.assertEqual(head, ("over native", "kvm-shadow", "Linux there"))
        self.assertEqual(rows[-1][1], "6.00")

    def test_exits_by_reason(self):
        _, rows = peer_tables.reason_table(self.comparison())
        self.assertEqual(rows[0][1:], ("3.00", "2.00", "1.00", "0.20", "0.50", "0.50", "-"))

    def test_without_peers_there_is_no_table(self):
        self.assertEqual(peer_tables.terminal(comparison.Comparison(["native"], [], "")), [])


if __name__ == "__main__":
    unittest.main()
