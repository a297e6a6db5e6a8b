"""The verdicts as text."""

import collections
import platform

import suites


def unexplained(verdicts):
    """Those that differ without a reason, and those that have one and do not."""
    return [one for one in verdicts if one.counts and one.agrees == bool(one.program.differs)]


def _share(part, whole):
    return f"{part:5}/{whole:<5} {100 * part / whole:5.1f}%" if whole else ""


def _rows(verdicts):
    for area in dict.fromkeys(one.program.area for one in verdicts):
        yield area, [one for one in verdicts if one.program.area == area]
    yield "core areas", [one for one in verdicts if one.program.area in suites.CORE]
    yield "all", verdicts


def text(suite, version, mode, verdicts, programs, failed, verbose):
    counted = [one for one in verdicts if one.counts]
    lines = [f"{suite.name} of {version}; Linux {platform.release()} beside mode {mode}", "",
             f"{'area':12} {'programs that pass':>20}  {'checks that pass':>20}   (here / on Linux)"]
    for area, group in _rows(counted):
        lines.append(f"{area:12} {_share(sum(one.agrees for one in group), len(group)):>20}  "
                     f"{_share(sum(one.passed for one in group), sum(one.checks for one in group)):>20}")
    lines += ["", "differs:"]
    for one in counted:
        if not one.agrees:
            lines.append(f"  {one.program.name}: {one.passed} of {one.checks}"
                         + (f"; by choice: {one.program.differs}" if one.program.differs else ""))
            lines += [f"      {line[:150]}" for line in one.lost[:8]]
            if verbose:
                lines += ["    | " + line for line in one.here.output.strip().splitlines()[-60:]]
        elif one.program.differs:
            lines.append(f"  {one.program.name}: agrees, and its row says that it does not: {one.program.differs}")
    lines += ["", "fails on Linux too: " + (", ".join(f"{one.program.name} ({one.linux.status})" for one in verdicts if one.checks == 0) or "none")]
    lines += ["not counted: " + ("; ".join(f"{one.program.name} ({one.passed} of {one.checks}): {one.program.outside}"
                                           for one in verdicts if one.program.outside) or "none")]
    lines += [f"not built ({len(failed)}): " + ("; ".join(f"{name}: {why[:120]}" if verbose else name for name, why in failed.items()) or "none")]
    reasons = collections.Counter(one.skip for one in programs if one.skip)
    lines += ["not run: " + ("; ".join(f"{why} ({count})" for why, count in reasons.items()) or "none")]
    return "\n".join(lines)
