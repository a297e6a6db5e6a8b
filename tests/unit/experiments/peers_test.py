import json
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

import support

from lib import comparison, peer_tables, peers, programs, results  # noqa: E402
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

    def test_a_program_of_its_own_boot(self):
        perl = programs.load()["perl"]
        console = perl.expected() + b"program perl status 0 instructions 7000\r\n"
        events = [support.mark("begin", "perl", 0, **support.exits(0, 0, 0)), support.mark("end", "perl", 7000, **support.exits(40, 4, 0))]
        found = peers.measured_program(PEER["kvm_shadow"], perl, Run(0, console, events, 1.0))
        self.assertEqual((found.instructions, found.exits, found.failed), ({"perl": 7000}, {"perl": 40}, {}))
        both = found.beside(peers.measured(PEER["linux"], done({"brk": (10, 4000, 0, 0)}, marks=False)))
        self.assertEqual(both.instructions, {"brk": 400, "script": 5000, "perl": 7000})
        found = peers.measured_program(PEER["linux"], perl, Run(0, console.replace(b"the end", b"the end?"), [], 1.0))
        self.assertEqual(set(found.failed), {"perl"})

    def test_a_row_of_a_size_is_left_out_at_another_scale(self):
        rows = {"brk": (10, 4000, 0, 0), "fork-64m": (1, 4000, 0, 0)}
        self.assertEqual(set(peers.measured(PEER["uml"], done(rows, marks=False)).instructions), {"brk", "script"})
        self.assertEqual(set(peers.measured(PEER["linux"], done(rows, marks=False)).instructions), {"brk", "fork-64m", "script"})

    def test_a_slow_peer_runs_the_rows_of_the_means(self):
        self.assertIsNone(peers.rows_of(PEER["linux"]))
        rows = peers.rows_of(PEER["uml"]).split(",")
        self.assertLessEqual({"getpid", "brk", "fork-small"}, set(rows))
        self.assertFalse({"fork-64m", "map-60k", "touch-random", "fork-1g"} & set(rows))

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
    def comparison(self, modes=(("native", 1), ("kvm-shadow", 6), ("shadow", 3), ("vma", 2))):
        rows = [row | {"linux": 1000, "kvm_shadow": 2000, "xen_pv": 4000} for row in json.loads(comparison.PEERS.read_text())["rows"]
                if row["name"] in ("brk", "populate")]
        found = comparison.Comparison([mode for mode, _ in modes], rows, "", peers_script={"linux": 5000, "kvm_shadow": 20_000})
        counters = {"kvm-shadow": {"kvm.pf_taken": 20, "kvm.pf_guest": 10, "kvm.insn_emulation": 7, "kvm.pf_emulate": 2},
                    "shadow": {"exits.page_fault": 10, "faults_reflected": 5, "write_protect_faults": 1, "exits.cr3_write": 3, "exits.invlpg": 2}}
        for mode, factor in modes:
            found.by_mode[mode] = {row["name"]: results.Figure(row["name"], mode, 10, 100.0 * factor, 0, 2.5, 0.5, 0, counters.get(mode, {}))
                                   for row in rows}
            found.programs.setdefault("script", {})[mode] = results.Figure("script", mode, 1, 1000.0 * factor, 0, 9, 0, 0, {})
        found.by_peer = {"linux": peers.Measured({"brk": 1000, "populate": 1000}, {}, {}, {}),
                         "uml": peers.Measured({"brk": 4000, "populate": 9000}, {}, {}, {})}
        return found

    def test_peers_beside_each_other(self):
        table = peer_tables.peer_table(self.comparison())
        self.assertEqual(table.head[1:], ("Linux", "user-mode"))
        self.assertEqual(table.rows[-1], ("geometric mean, × Linux", "1.00", "6.00"))
        self.assertEqual(len(table.rows), 3)

    def test_peers_as_they_are_kept(self):
        table = peer_tables.kept_peer_table(self.comparison())
        self.assertEqual((table.head[1], table.rows[-2][:2], table.rows[-1][1]), ("Linux", ("busybox script", "5,000"), "1.00"))

    def test_ours_beside_linux_on_one_hypervisor(self):
        table = peer_tables.there_table(self.comparison(), "kvm-shadow", "kvm_shadow", "KVM's shadow")
        self.assertEqual([row[0] for row in table.rows], ["MAP_POPULATE 16 MiB, per page", "brk 1 MiB grow+touch+shrink, per page",
                                                          "busybox script", "geometric mean"])
        self.assertEqual(table.rows[1][1:], ("100", "600", "6.00", "1,000", "2,000", "2.00", "0.10", "0.30", "500", "1,000"))
        self.assertEqual(table.rows[2][1:], ("1,000", "6,000", "6.00", "5,000", "20,000", "4.00", "0.20", "0.30", "5,000", "15,000"))
        self.assertEqual(table.rows[-1][1:], ("", "", "6.00", "", "", "2.00", "0.10", "0.30", "", ""))
        self.assertIn("3.00 of Linux's", table.note)

    def test_a_peer_that_is_not_there_leaves_dashes(self):
        found = self.comparison()
        found.peers = [row | {"kvm_shadow": None} for row in found.peers]
        table = peer_tables.there_table(found, "kvm-shadow", "kvm_shadow", "KVM's shadow")
        self.assertEqual(table.rows[0][5:7], ("-", "-"))
        self.assertEqual(table.rows[-1][6], "-")

    def test_exits_by_reason(self):
        table = peer_tables.reason_table(self.comparison())
        self.assertEqual(table.rows[0][1:], ("600", "300", "0.50", "2.50", "2.50", "2.00", "1.00", "1.00", "0.50", "0.20", "0.10", "0.50", "0.50",
                                             "0.50", "0.50"))
        self.assertEqual(table.rows[-1][3], "0.50")
        self.assertEqual({len(row) for row in table.rows}, {len(table.head)})

    def test_exits_by_reason_without_our_shadow(self):
        table = peer_tables.reason_table(self.comparison((("native", 1), ("kvm-shadow", 6))))
        self.assertEqual(table.rows[0][1:], ("600", "-", "-", "2.50", "-", "2.00", "-", "1.00", "-", "0.20", "-", "0.50", "-", "0.50", "-"))
        self.assertEqual(table.rows[-1][3], "-")

    def test_vma_beside_the_others(self):
        table = peer_tables.vma_table(self.comparison())
        self.assertEqual(table.head[1:], ("vma", "exits", "kvm-shadow", "shadow"))
        self.assertEqual(table.rows[0][1:], ("200", "2.50", "3.00", "1.50"))
        self.assertEqual([row[3] for row in table.rows[-3:]], ["3.00", f"{3600 / 3200:.2f}", f"{6600 / 6200:.2f}"])

    def test_xen_itself_stands_beside_mode_xen(self):
        found = self.comparison((("native", 1), ("xen", 2), ("xenpv", 4)))
        table = peer_tables.xen_table(found)
        self.assertEqual(table.rows[1][1:3] + table.rows[1][6:7], ("100", "200", "400"))
        self.assertEqual(peer_tables.xen_table(self.comparison((("native", 1), ("xen", 2)))).rows, [])

    def test_means_alone(self):
        self.assertEqual(peer_tables.summary_table(self.comparison()).rows,
                         [("KVM's shadow (`kvm-shadow`)", "6.00", "2.00", "0.30", "0.33", f"{3200 / 3600:.2f}", f"{6200 / 6600:.2f}")])

    def test_every_table_on_a_page_and_in_a_report(self):
        found = self.comparison((("native", 1), ("kvm-shadow", 6), ("kvm-nested", 1), ("shadow", 3), ("vma", 2), ("xen", 2), ("xenpv", 4)))
        tables = peer_tables.all_tables(found)
        self.assertEqual([table.name for table in tables], ["peers", "there-xenpv", "there-kvm-shadow", "there-kvm-nested", "reasons",
                                                            "xen-itself", "vma", "means"])
        for table in tables:
            with self.subTest(table.name):
                self.assertEqual({len(row) for row in table.rows}, {len(table.head)})
                lines = peer_tables.markdown(table)
                self.assertEqual({line.count(" |") for line in lines[2:2 + len(table.rows)]}, {len(table.head)})
        self.assertIn("user-mode", "\n".join(peer_tables.terminal(found)))

    def test_without_peers_there_is_no_table(self):
        self.assertEqual(peer_tables.terminal(comparison.Comparison(["native"], [], "")), [])


if __name__ == "__main__":
    unittest.main()
