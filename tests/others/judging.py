"""What programs said on Linux and here, beside each other."""

import collections
import dataclasses
import re

# Test Anything Protocol, as kselftest.h writes it: "ok 3 name", "not ok 3 name # SKIP why".
_TAP = re.compile(r"^\s*(not ok|ok)\s+\d*\s*-?\s*(.*)$")
_SKIP = re.compile(r"#\s*SKIP", re.IGNORECASE)
_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+")


@dataclasses.dataclass
class Verdict:
    program: object
    linux: object  # an Outcome
    here: object
    checks: int  # that pass on Linux
    passed: int  # of these, here
    lost: list  # lines that pass on Linux and not here

    @property
    def counts(self):
        return self.checks > 0 and not self.program.outside

    @property
    def agrees(self):
        return self.passed == self.checks


def lines(outcome):
    """The checks that pass, by their text without its numbers; how often each."""
    passed = collections.Counter()
    for line in outcome.output.splitlines():
        match = _TAP.match(line)
        if match and match[1] == "ok" and not _SKIP.search(line):
            passed[_NUMBERS.sub("N", match[2]).strip()] += 1
    return passed


def verdict(program, linux, here):
    """A program with lines is as many checks as pass on Linux; every program's status is one."""
    on_linux, in_guest = lines(linux), lines(here)
    lost = on_linux - in_guest
    checks, passed = on_linux.total(), (on_linux & in_guest).total()
    if linux.status == 0:
        checks += 1
        if here.status == 0:
            passed += 1
        else:
            lost[f"status {'none: the machine ended' if here.status is None else here.status}"] += 1
    return Verdict(program, linux, here, checks, passed, sorted(lost.elements()))
