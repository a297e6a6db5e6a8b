#!/usr/bin/python3
"""The conformance cases (tests/conformance) booted in one mode: results, and exits within each case's bound.

conformance.py MODE [CASE...]      a final * in CASE stands for any end; without one, every case
"""

import argparse
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "experiments"))

import machine  # noqa: E402
from lib import boots, bundle, counters, images, kvm_host, launcher, linux, xen_host  # noqa: E402
from lib.errors import UserError  # noqa: E402

SECONDS = 300
# What ctest takes for "skipped".
SKIPPED = 77
# Of the modes whose hypervisor takes long to boot, those that are run without --long.
SAMPLE = (machine.KVM_NESTED, machine.XEN_PV)
GUEST_MIB = 64
IMAGE = images.GUEST.parent / "nopte-conformance"
RESULT = re.compile(r"(PASS|FAIL|EXCUSED) ([a-z0-9]+-\w+)(?:: (.*))?")
END = re.compile(r"(\d+) cases, (\d+) failed")


def boot(mode, cases, folder):
    if mode == machine.XEN_PV:
        setup = xen_host.boot(folder, IMAGE, b"", machine.guest_command_line([mode] + cases), GUEST_MIB, "tcg")
        return launcher.run(machine.command(setup), setup.counters, SECONDS, hidden=setup.hidden)
    module = folder / "module"
    foreign = mode in machine.FOREIGN_MODES  # the native image, as it is
    kernel, line = IMAGE, machine.guest_command_line(["native" if foreign else mode] + cases)
    if mode in machine.KVM_MODES:
        kernel = linux.kernel().elf
        module.write_bytes(kvm_host.archive(mode, IMAGE.read_bytes(), bytes(4096), line, GUEST_MIB))
        line = kvm_host.command_line()
    elif mode == "native":
        module.write_bytes(bytes(4096))
    else:
        kernel = images.HYPERVISOR
        module.write_bytes(bundle.build([(boots.GUEST_PART, IMAGE.read_bytes())]))
        line = machine.hypervisor_command_line(mode, GUEST_MIB, line)
    setup = machine.Boot(mode, kernel, module, line, folder / "counters", module_bytes=module.stat().st_size,
                         guest_mib=GUEST_MIB)
    return launcher.run(machine.command(setup), setup.counters, SECONDS)


def costs(events):
    """(exits, most allowed) of each case, in order: between its marks, the end mark's own call left out."""
    marks = [event for event in events if event["event"] == "mark"]
    for begin, end in zip(marks[::2], marks[1::2]):
        if begin["text"].split()[1] != end["text"].split()[1]:
            raise UserError(f"the marks {begin['text']!r} and {end['text']!r} are no pair")
        taken = counters.memory_exits(end["counters"]) - counters.memory_exits(begin["counters"])
        yield taken, int(end["text"].split()[2])


def check(done, show_exits, bounded=True):
    """Prints a line for each case; what is wrong. `bounded`: exits are the project's own, and held against their bounds."""
    lines = done.console.decode(errors="replace").splitlines()
    results = [match for match in map(RESULT.fullmatch, lines) if match]
    end = next((match for match in map(END.fullmatch, lines) if match), None)
    wrong = []
    spans = list(costs(done.events))
    for number, result in enumerate(results):
        verdict, name, why = result.groups()
        taken, most = spans[number] if number < len(spans) else (0, 0)
        if verdict == "PASS" and bounded and taken > most:
            verdict, why = "FAIL", f"{taken} exits, at most {most} allowed"
        print(f"{verdict} {name}" + (f": {why}" if why else "") + (f" [{taken} of {most} exits]" if show_exits else ""))
        if verdict == "FAIL":
            wrong.append(name)
    # Silence is failure.
    if end is None or int(end.group(1)) != len(results) or not results:
        print("\n".join(lines))
        wrong.append("the run was not whole")
    elif done.status != (1 if int(end.group(2)) else 0):
        wrong.append(f"status {done.status}")
    excused = sum(result.group(1) == "EXCUSED" for result in results)
    print(f"{len(results)} cases, {excused} excused, {len(wrong)} wrong" + (": " + ", ".join(wrong) if wrong else ""))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exits", action="store_true", help="print what each case took and what it may take")
    parser.add_argument("--list", action="store_true", help="print TEST SECONDS LABEL MODE for each mode")
    parser.add_argument("mode", nargs="?", choices=machine.ALL_MODES)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    if options.list:
        for mode in machine.ALL_MODES:
            long = mode in machine.FOREIGN_MODES and mode not in SAMPLE
            print(f"{mode}_conformance {SECONDS} conformance,{'long' if long else 'boot'} {mode}")
        return 0
    if options.mode is None:
        parser.error("a mode is missing")
    if why := boots.missing(options.mode):
        print(f"skipped: {why}")
        return SKIPPED
    try:
        with tempfile.TemporaryDirectory(prefix="nopte-conformance-") as folder:
            done = boot(options.mode, options.cases, pathlib.Path(folder))
            return 1 if check(done, options.exits, options.mode not in machine.FOREIGN_MODES) else 0
    except UserError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
