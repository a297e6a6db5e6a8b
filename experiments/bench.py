"""Measures the region tree and the paging engine by themselves, in a program of this machine, at 10 to 10^6 regions."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import errors, hosted_bench, images, report  # noqa: E402

EPILOG = """\
Times are this machine's and say little elsewhere: what can be quoted are ratios (how a cost grows with the number of
regions) and the counts beside them (leaf entries written, tables made, frames zeroed and copied, per operation), which
repeat exactly. The engine's rows at 10^6 regions touch a page of each, 4 GiB; --most 100000 leaves them out. With perf and
a machine that counts, instructions per operation too. Google Benchmark (libbenchmark-dev) is installed if it is missing.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/bench", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--filter", default=".", metavar="REGEX", help="only operations whose name matches")
    parser.add_argument("--most", type=int, default=1_000_000, metavar="REGIONS",
                        help="leave out sizes above this (default 1000000)")
    parser.add_argument("--min-time", type=float, default=0.2, metavar="SECONDS",
                        help="for each measurement (default 0.2)")
    parser.add_argument("--out", type=pathlib.Path, default=images.ROOT / "out" / "bench", metavar="DIR",
                        help="where bench.json, bench.csv and bench.png go (default: out/bench)")
    options = parser.parse_args(arguments)
    if options.min_time <= 0:
        raise errors.UserError(f"--min-time: {options.min_time:g} is no time to measure", "0.2 seconds is the default")
    return options


def main():
    options = parse(sys.argv[1:])
    report.check_destination(options.out, marker=hosted_bench.MARKER)
    program = images.prepare_hosted("nopte-bench", packages="bench")
    rows = hosted_bench.run(program, options.filter, options.most, options.min_time)
    print(hosted_bench.table(rows))
    hosted_bench.write(rows, options.out)
    print(f"also in {options.out}: bench.json, bench.csv, bench.png")
    return 0


if __name__ == "__main__":
    errors.run_main(main)
