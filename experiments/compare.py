"""Runs the same guest image in every mode on the one emulated machine, and reports what each mode costs."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from lib import boots, comparison, curves, errors, images, peers, profiler, programs, report, shares, side_by_side, tables, walks  # noqa: E402

EPILOG = """\
Workloads: mmlat, memory operations one by one; script, a busybox shell script as a whole program; curves, what operations
cost among up to 1,000 processes, 200 threads and 10,000 mappings; Debian's programs, each in
a boot of its own over the files of its packages; with --walks also chase, which follows pointers.
Figures are executed instructions, which repeat exactly. Modelled figures add 1,000 or 2,000 cycles per exit, which the
emulated machine does not charge. Ends with status 1 if a mode did not boot, a row failed or idled, output differs
from the host's, or --check found a difference; everything else is reported all the same.
"""

SECONDS = 240
LARGE_SECONDS = 900
PEER_SECONDS = 1800


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/compare", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--modes", default=",".join(machine.MODES), metavar="MODE,...",
                        help=f"some of {', '.join(machine.MODES)} (default: all of these), and of "
                             f"{', '.join(machine.FOREIGN_MODES)}, for which Debian's packages are downloaded; all: of both")
    parser.add_argument("--workload", default="all", metavar="NAME,...",
                        help=f"what to run: some of {', '.join(comparison.workload_names())}; all: {' and '.join(comparison.USUAL_WORKLOADS)} "
                             "(the default); programs: Debian's programs, all that are named here behind these, whose packages "
                             "are downloaded; none: only what --walks and --profile run")
    parser.add_argument("--rows", metavar="ROW,...", help="of mmlat, these rows only")
    parser.add_argument("--large", action="store_true",
                        help="mmlat's rows of up to 4 GiB, too: the guest gets 5 GiB, each mode takes some minutes more")
    parser.add_argument("--scale", type=int, default=100, metavar="PERCENT",
                        help="of mmlat's repetitions and sizes (default 100; figures at other scales differ a little)")
    parser.add_argument("--walks", action="store_true",
                        help="also count TLB misses and the references of page walks, by a plugin of QEMU: chase, which "
                             "follows pointers, the script and mmlat in every mode, some minutes more for each")
    parser.add_argument("--profile", nargs="?", const=shares.ROWS, default="", metavar="ROW,...",
                        help="also profile these rows of mmlat in every mode, by a plugin of QEMU: whose instructions they are, "
                             f"hypercalls to Xen, and flame graphs in the report ({shares.ROWS} unless named), some minutes more")
    parser.add_argument("--peers", nargs="?", const=",".join(peers.NAMES), default="", metavar="PEER,...",
                        help="also run mmlat and the script on Debian's Linux, whose packages are downloaded: by itself, under "
                             f"KVM, on Xen, in user mode ({', '.join(peers.NAMES)}; all unless named). Writes "
                             "experiments/peers.json, unless --rows or --scale choose other than all of mmlat")
    parser.add_argument("--out", type=pathlib.Path, default=images.ROOT / "out" / "compare", metavar="DIR",
                        help="where the report goes (default: out/compare)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS",
                        help=f"for each boot (default {SECONDS}, with --large {LARGE_SECONDS}; on hypervisors that are not ours "
                             f"{PEER_SECONDS})")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="so many boots side by side, each with some 1.5 GiB of memory; no count depends on it (default: 1, with "
                             "--peers one for each processor)")
    parser.add_argument("--check", action="store_true", help="run everything twice and compare the counts")
    options = parser.parse_args(arguments)
    options.modes = parse_modes(options.modes)
    options.peers = [name for name in options.peers.split(",") if name]
    for name in options.peers:
        if name not in peers.NAMES:
            raise errors.UserError(f"--peers: there is no peer {name}", f"peers are {', '.join(peers.NAMES)}")
    options.workloads = parse_workloads(options.workload)
    if not options.workloads and not options.walks and not options.peers and not options.profile:
        raise errors.UserError("--workload none: there is nothing to run", "add --walks, --profile or --peers, or name a workload")
    options.guest_mib = comparison.LARGE_GUEST_MIB if options.large else machine.GUEST_MIB
    options.peer_timeout = options.timeout or PEER_SECONDS
    if options.jobs is None:
        options.jobs = side_by_side.most() if options.peers else 1
    if not 1 <= options.jobs <= 256:
        raise errors.UserError(f"--jobs {options.jobs}: out of range", "give 1 to 256")
    if options.timeout is None:
        options.timeout = LARGE_SECONDS if options.large else SECONDS
    comparison.check_measure_options(options)
    return options


def parse_workloads(text):
    """The workloads that are named, in their usual order."""
    sets = {"all": comparison.USUAL_WORKLOADS, "programs": tuple(programs.load()), "none": ()}
    named = [workload for name in text.split(",") if name for workload in sets.get(name, (name,))]
    for name in named:
        if name not in comparison.workload_names():
            raise errors.UserError(f"--workload: there is no {name}", f"workloads are {', '.join((*comparison.workload_names(), *sets))}")
    return [name for name in comparison.workload_names() if name in named]


def parse_modes(text):
    if text == "all":
        return list(machine.ALL_MODES)
    modes = [mode for mode in text.split(",") if mode]
    for mode in modes:
        if mode not in machine.ALL_MODES:
            raise errors.UserError(f"--modes: there is no mode {mode}", f"modes are {', '.join(machine.ALL_MODES)}")
    if not modes:
        raise errors.UserError("--modes names no mode", f"modes are {', '.join(machine.ALL_MODES)}")
    return [mode for mode in machine.ALL_MODES if mode in modes]


def main():
    options = parse(sys.argv[1:])
    report.check_destination(options.out)
    if options.walks:
        walks.require()
    if options.profile:
        walks.require("experiments/compare --profile")
    also = {target for mode in options.modes for target in boots.targets(mode)} | set(walks.TARGETS if options.walks else ())
    also |= set(profiler.TARGETS if options.profile else ())
    also |= set(peers.TARGETS if options.peers else ())
    also |= {curves.WORKLOAD} & set(options.workloads)
    images.prepare(also=sorted(also), report=True)
    theirs, ours = peers.jobs(options), comparison.jobs(options)
    outcomes = side_by_side.run(theirs + ours, options.jobs)
    # Before the modes, which are held against what peers take.
    linux = peers.gather(options, outcomes[:len(theirs)])
    found = comparison.gather(options, outcomes[len(theirs):])
    found.by_peer = linux.by_peer
    found.runs += linux.runs
    found.problems += linux.problems
    if found.by_mode or any(found.programs.values()) or found.curves or found.walks or found.profiles or found.by_peer:
        print(tables.terminal(found))
        report.write(found, options.out)
        print(f"report: {options.out}/report.html")
    for problem in found.problems:
        print(f"PROBLEM: {problem}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    errors.run_main(main)
