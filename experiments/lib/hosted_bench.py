"""Runs the hosted benchmark program and shows what it found: per operation and number of regions a time, counts and, where
the machine has them, instructions."""

import csv
import dataclasses
import json
import re
import shutil
import subprocess
import sys

from .errors import UserError

MARKER = "bench.json"
COUNTS = ("entries", "tables", "zeroed", "copied")


@dataclasses.dataclass(frozen=True)
class Row:
    operation: str
    regions: int
    ns: float
    counts: dict  # of COUNTS those that the operation reports, per operation
    instructions: float | None  # per operation, of the measured program; None where the machine does not count them


def parse(text):
    """Rows of Google Benchmark's JSON."""
    rows = []
    for entry in json.loads(text)["benchmarks"]:
        if entry.get("error_occurred"):
            raise UserError(f"{entry['name']}: {entry.get('error_message', 'failed')}")
        operation, regions = entry["run_name"].rsplit("/", 1)
        rows.append(Row(operation, int(regions), float(entry["real_time"]),
                        {name: float(entry[name]) for name in COUNTS if name in entry}, None))
    return rows


def names(program, pattern, most):
    """What there is to measure: benchmark names, those of at most `most` regions."""
    listed = _output([program, "--benchmark_list_tests=true", f"--benchmark_filter={pattern}"])
    found = [name for name in listed.splitlines() if re.search(r"/\d+$", name) and int(name.rsplit("/", 1)[1]) <= most]
    if not found:
        raise UserError(f"no operation matches '{pattern}' with at most {most} regions",
                        f"{program} --benchmark_list_tests names all")
    return found


def run(program, pattern, most, min_time):
    """All rows, measured one after another; says which one is running."""
    counts_instructions = perf_counts()
    rows = []
    wanted = names(program, pattern, most)
    for number, name in enumerate(wanted, 1):
        print(f"\r{number}/{len(wanted)} {name:<70}", end="", file=sys.stderr, flush=True)
        row, = parse(_measure(program, name, f"--benchmark_min_time={min_time}"))
        if counts_instructions:
            row = dataclasses.replace(row, instructions=_instructions(program, name))
        rows.append(row)
    print(f"\r{'':<80}\r", end="", file=sys.stderr, flush=True)
    return rows


def _measure(program, name, *options):
    return _output([program, f"--benchmark_filter=^{name}$", "--benchmark_format=json", *options])


def _output(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{command[0]} failed with status {done.returncode}", done.stderr.strip())
    return done.stdout


# --- instructions, by perf ---


def perf_counts():
    """Whether perf is here and this machine counts instructions for it."""
    if shutil.which("perf") is None:
        return False
    done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and perf_value(done.stderr) is not None


def perf_value(text):
    """The count in `perf stat -x,`'s output; None when it is not one."""
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith("instructions") and fields[0].isdigit():
            return int(fields[0])
    return None


def _instructions(program, name):
    """Per operation: the difference between two runs of the program, so that setting up costs nothing."""
    totals = []
    for seconds in (0.05, 0.25):
        done = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", str(program),
                               f"--benchmark_filter=^{name}$", "--benchmark_format=json",
                               f"--benchmark_min_time={seconds}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        totals.append((perf_value(done.stderr), json.loads(done.stdout)["benchmarks"][0]["iterations"]))
    (few, few_times), (many, many_times) = totals
    if few is None or many is None or many_times <= few_times:
        return None
    return (many - few) / (many_times - few_times)


# --- what is shown ---


def table(rows):
    """For a terminal: an operation in each block, a number of regions in each line."""
    with_instructions = any(row.instructions is not None for row in rows)
    head = (f"{'operation':<48}{'regions':>10}{'ns':>14}{'× fewest':>10}"
            + "".join(f"{name:>10}" for name in COUNTS) + ("  instructions" if with_instructions else ""))
    lines = [head, "-" * len(head)]
    first = None
    for row in rows:
        new = first is None or row.operation != first.operation
        if new:
            first = row
        lines.append(f"{row.operation if new else '':<48}{row.regions:>10,}{row.ns:>14,.0f}{row.ns / first.ns:>10.2f}"
                     + "".join(f"{_count(row.counts.get(name)):>10}" for name in COUNTS)
                     + (f"{_count(row.instructions):>14}" if with_instructions else ""))
    return "\n".join(lines)


def _count(value):
    return "" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def write(rows, out):
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")
    with open(out / "bench.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("operation", "regions", "ns", *COUNTS, "instructions"))
        for row in rows:
            writer.writerow((row.operation, row.regions, f"{row.ns:.1f}", *(row.counts.get(name, "") for name in COUNTS),
                             "" if row.instructions is None else f"{row.instructions:.1f}"))
    _plot(rows, out / "bench.png")


def _plot(rows, path):
    import matplotlib  # here: it takes a second to load
    matplotlib.use("Agg")
    from matplotlib import pyplot
    parts = ("tree", "engine")
    figure, axes = pyplot.subplots(1, len(parts), figsize=(13, 5))
    for axis, part in zip(axes, parts):
        for operation in dict.fromkeys(row.operation for row in rows if row.operation.startswith(part + "/")):
            points = [row for row in rows if row.operation == operation]
            axis.plot([row.regions for row in points], [row.ns for row in points], marker="o",
                      label=operation.split("/", 1)[1])
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("regions in the space")
        axis.set_ylabel("ns per operation, on this machine")
        axis.set_title(part)
        axis.grid(True, which="major", alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
