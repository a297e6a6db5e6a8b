"""Comparisons that were written apart (results.json), read and made one."""

import dataclasses
import json

from . import comparison, curves, results
from .errors import UserError

# What must be the same for counts to be held against each other.
_SAME = ("guest image SHA-256", "hypervisor image SHA-256", "mmlat SHA-256", "QEMU")
_FIELDS = [field.name for field in dataclasses.fields(results.Figure)]


def _figure(found):
    return results.Figure(**{name: found[name] for name in _FIELDS})


def of_json(found):
    """What report.as_json() made, without walks and peers. Raises KeyError or TypeError where it is something else."""
    read = comparison.Comparison(found["modes"], found["published"]["rows"], found["published"]["about"],
                                 peers_script=found["published"].get("script", {}),
                                 peers_programs=found["published"].get("programs", {}))
    read.by_mode = {mode: {row["row"]: _figure(row) for row in rows} for mode, rows in found["rows"].items()}
    read.programs = {name: {mode: _figure(figure) for mode, figure in by_mode.items()} for name, by_mode in found["programs"].items()}
    read.curves = {mode: {row["row"]: _figure(row) for row in rows} for mode, rows in found.get("curves", {}).items()}
    read.runs, read.problems, read.facts = found["runs"], found["problems"], found["facts"]
    return read


def load(path):
    """The results.json of a comparison. Errors: UserError."""
    try:
        read = of_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the results of a comparison: {error}", "remove it, and it is made again") from error
    return read


def merge(parts):
    """One comparison of (name, comparison): each has modes or workloads that the others lack. Errors: UserError where they
    are not of the same images, programs and QEMU."""
    first_name, first = parts[0]
    whole = comparison.Comparison([], first.peers, first.about_peers)
    whole.facts = dict(first.facts)
    for name, part in parts:
        for fact in _SAME:
            if part.facts.get(fact) != first.facts.get(fact):
                raise UserError(f"{name} and {first_name} have another {fact}",
                                "their counts cannot be compared: remove the older one's folder, and it is made again")
        for mode in part.modes:
            if mode not in whole.modes:
                whole.modes.append(mode)
        for mode, rows in part.by_mode.items():
            whole.by_mode.setdefault(mode, {}).update(rows)
        for program, by_mode in part.programs.items():
            whole.programs.setdefault(program, {}).update(by_mode)
        whole.curves.update(part.curves)
        whole.runs += part.runs
        whole.problems += part.problems
    if "native" in whole.by_mode:
        whole.misses = results.misses(whole.by_mode, whole.peers)
    whole.misses += curves.misses(whole.curves)
    return whole
