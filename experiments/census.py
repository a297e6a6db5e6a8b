"""Counts what paravirtualisation is in the guest image, as was done for Linux in 2007, and what it costs natively."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import census, census_tables, comparison, errors, images  # noqa: E402

EPILOG = """\
"Without" is nopte-guest-native: the same kernel with its calls bound by the compiler, for the bare machine alone.
Bytes come from the linked images, instructions from a boot of each on the emulated machine. With --check, ends with
status 1 when a call site was not redirected or a row costs over 0.5% more, or over 3% less (census.py names some that may a little more).
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/census", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--rows", metavar="ROW,...", help="of mmlat, these rows only")
    parser.add_argument("--scale", type=int, default=100, metavar="PERCENT",
                        help="of mmlat's repetitions and sizes (default 100)")
    parser.add_argument("--no-boot", action="store_true", help="only what the images hold")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write everything there")
    parser.add_argument("--csv", type=pathlib.Path, metavar="FILE", help="also write the tables there")
    parser.add_argument("--timeout", type=float, default=240, metavar="SECONDS", help="for each boot (default 240)")
    parser.add_argument("--check", action="store_true", help="end with status 1 when a bar is missed")
    options = parser.parse_args(arguments)
    comparison.check_measure_options(options)
    for name in ("json", "csv"):
        path = getattr(options, name)
        if path is not None:
            write(path, "", f"--{name}")
    return options


def write(path, text, option):
    try:
        path.write_text(text)
    except OSError as error:
        raise errors.UserError(f"{option} {path}: {error.strerror}") from error


def main():
    options = parse(sys.argv[1:])
    images.prepare(also=("nopte-guest-native",))
    found = census.count()
    if not options.no_boot:
        census.look_at_the_running_image(found, options.timeout)
        census.measure(found, options)
    print(census_tables.terminal(found))
    if options.json:
        write(options.json, census_tables.json_text(found), "--json")
    if options.csv:
        write(options.csv, census_tables.csv_text(found), "--csv")
    for problem in found.problems:
        print(f"PROBLEM: {problem}")
    return 1 if options.check and found.problems else 0


if __name__ == "__main__":
    errors.run_main(main)
