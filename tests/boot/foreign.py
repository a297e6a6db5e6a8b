#!/usr/bin/python3
"""What the sessions under hypervisors that are not ours share. Run by itself it says which of these modes cannot be tested
here, and why, after it has tried to download what they need."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "experiments"))

import machine  # noqa: E402
from lib import boots  # noqa: E402


def needs(mode):
    """Skips what cannot be run, and says why."""
    why = boots.missing(mode)
    return unittest.skipIf(why, why)


def main():
    for mode in machine.FOREIGN_MODES:
        if why := boots.missing(mode):
            print(f"skipped: tests of mode {mode}: {why}")


if __name__ == "__main__":
    main()
