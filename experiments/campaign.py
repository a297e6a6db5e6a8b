"""Runs many comparisons and fuzzers as one campaign: resumable, on this machine or on many, merged into one report."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import boots, campaigns, errors, images, report  # noqa: E402

EPILOG = """\
A campaign is a file (experiments/campaigns/usual.yaml, which says what each of its lines means): modes x workloads x sets
of parameters, and fuzzers x seeds. What is done stays done: the same command goes on where it stopped, and repeats what
failed. The work is a Snakemake workflow (Debian's snakemake, installed if it is missing), and what follows -- goes to
Snakemake, for instance a cluster's executor:

  experiments/campaign --jobs 64 -- --slurm --default-resources slurm_partition=batch

The machines of a cluster see this folder and --out under the same names, and have the packages that
tests/support/install-packages names. Counts do not depend on where they are made, as long as the QEMU is the same one: a
report is not made of figures whose images or QEMU differ. Ends with status 1 if something failed or a fuzzer found something.
"""


def parse(arguments):
    own, rest = (arguments[:arguments.index("--")], arguments[arguments.index("--") + 1:]) if "--" in arguments else (
        arguments, [])
    parser = argparse.ArgumentParser(prog="experiments/campaign", description=__doc__, epilog=EPILOG,
                                     usage="%(prog)s [options] [-- SNAKEMAKE'S OPTIONS]",
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--config", type=pathlib.Path, default=campaigns.USUAL, metavar="FILE",
                        help="the campaign (default: experiments/campaigns/usual.yaml)")
    parser.add_argument("--jobs", type=int, default=campaigns.processors(), metavar="N",
                        help="how many run at once (default: as many as there are processors)")
    parser.add_argument("--out", type=pathlib.Path, default=images.ROOT / "out" / "campaign", metavar="DIR",
                        help="where runs, logs and the report go (default: out/campaign)")
    parser.add_argument("--list", action="store_true", help="say what is done and what is to do, and do nothing")
    options = parser.parse_args(own)
    if options.jobs < 1:
        raise errors.UserError(f"--jobs {options.jobs}: nothing would run", "give 1 or more")
    options.snakemake = rest
    return options


def main():
    options = parse(sys.argv[1:])
    images.install("campaign")
    campaign = campaigns.read(options.config)
    report.check_destination(options.out, marker=campaigns.MARKER)
    if options.list:
        for name, state in campaigns.states(campaign, options.out):
            print(f"{state:5} {name}")
        return 0
    images.prepare(also=sorted({target for mode in campaign.modes for target in boots.targets(mode)}), report=True)
    if campaign.fuzzers:
        images.prepare_fuzzers(sorted(campaign.fuzzers))
    whole = campaigns.run(campaign, options)
    found = campaigns.gather(campaign, options.out)
    campaigns.write(found, options.out)
    print(campaigns.terminal(found))
    print(f"report: {options.out}/report.html")
    return 0 if whole and not found.problems else 1


if __name__ == "__main__":
    errors.run_main(main)
