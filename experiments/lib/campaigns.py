"""Campaigns: what is to run, as a file; running it as a Snakemake workflow; and making one report of what came of it."""

import dataclasses
import html
import json
import os
import pathlib
import subprocess

import machine

from . import comparison, images, merging, report, tables
from .errors import UserError

FOLDER = images.ROOT / "experiments" / "campaigns"
USUAL = FOLDER / "usual.yaml"
MARKER = "campaign.json"  # the campaign, as the workflow reads it
SNAKEMAKE = "/usr/bin/snakemake"
_FUZZERS = images.ROOT / "tests" / "fuzz"
# Options of experiments/compare that a campaign decides itself.
_OWN_OPTIONS = ("--modes", "--workload", "--out", "--walks", "--peers", "--check")


@dataclasses.dataclass
class Campaign:
    modes: list
    workloads: list
    parameters: dict  # name → further options of experiments/compare
    fuzzers: dict  # name → {"inputs", "seeds"}


def processors():
    return len(os.sched_getaffinity(0))


def read(path):
    """The campaign in a file. Errors: UserError, which says what of it is wrong."""
    import yaml  # here, because it comes with Snakemake, which may have been installed just now
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"--config {path}: not YAML: {error}", f"begin with a copy of {USUAL}") from error
    return checked(found, f"--config {path}")


def checked(found, where):
    names = [field.name for field in dataclasses.fields(Campaign)]
    if not isinstance(found, dict):
        raise UserError(f"{where}: not a campaign", f"begin with a copy of {USUAL}")
    for name in found:
        if name not in names:
            raise UserError(f"{where}: {name} means nothing", f"a campaign has {', '.join(names)}")
    modes = _names(found, "modes", machine.ALL_MODES, where)
    workloads = _names(found, "workloads", comparison.workload_names(), where)
    parameters = found.get("parameters") or {"usual": []}
    if not isinstance(parameters, dict):
        raise UserError(f"{where}: parameters is a map of a name to options of experiments/compare")
    for name, options in parameters.items():
        if not _is_name(name):
            raise UserError(f"{where}: parameters: {name!r} is no name of a folder", "use letters, digits, - and _")
        if not isinstance(options, list) or not all(isinstance(option, (str, int)) for option in options):
            raise UserError(f"{where}: parameters: {name} is no list of options", 'for example: [--scale, 10]')
        for option in options:
            if str(option).split("=")[0] in _OWN_OPTIONS:
                raise UserError(f"{where}: parameters: {name}: {option} is not for a campaign",
                                "experiments/compare takes it" if str(option) not in _OWN_OPTIONS[:3] else
                                "the campaign's modes and workloads decide that")
    return Campaign(modes, workloads, {name: [str(option) for option in options] for name, options in parameters.items()},
                    _fuzzers(found.get("fuzzers") or {}, where))


def _is_name(name):
    return isinstance(name, str) and name != "" and all(c.isalnum() or c in "-_" for c in name)


def _names(found, key, known, where):
    names = found.get(key) or []
    if not isinstance(names, list):
        raise UserError(f"{where}: {key} is no list", f"some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"{where}: {key}: there is no {name}", f"there are {', '.join(known)}")
    return [name for name in known if name in names]


def _fuzzers(found, where):
    if not isinstance(found, dict):
        raise UserError(f"{where}: fuzzers is a map of a fuzzer to its inputs and seeds")
    known = sorted(path.stem for path in _FUZZERS.glob("*_fuzz.cc"))
    for name, what in found.items():
        if name not in known:
            raise UserError(f"{where}: fuzzers: there is no {name}", f"there are {', '.join(known)}")
        whole = isinstance(what, dict) and set(what) == {"inputs", "seeds"}
        if not whole or not _is_count(what["inputs"]) or not isinstance(what["seeds"], list) or not what["seeds"] or \
                not all(map(_is_count, what["seeds"])) or len(set(what["seeds"])) != len(what["seeds"]):
            raise UserError(f"{where}: fuzzers: {name} needs inputs and different seeds, all more than 0",
                            "for example: {inputs: 300000, seeds: [1, 2, 3]}")
    return found


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# --- what is done and what is to do --------------------------------------------------------------------------


def _measures(campaign):
    """(parameters, workload, mode) of everything that is measured."""
    return [(name, workload, mode) for name in campaign.parameters for workload in campaign.workloads
            for mode in campaign.modes]


def _shards(campaign):
    return [(name, seed) for name, what in campaign.fuzzers.items() for seed in what["seeds"]]


def _results(out, measure):
    return pathlib.Path(out, "runs", *measure, "results.json")


def states(campaign, out):
    """(name, "done" or "to do") of each piece."""
    pieces = [(" ".join(measure), _results(out, measure)) for measure in _measures(campaign)]
    pieces += [(f"{name} seed {seed}", pathlib.Path(out, "fuzz", name, f"{seed}.json")) for name, seed in _shards(campaign)]
    return [(name, "done" if path.exists() else "to do") for name, path in pieces]


def run(campaign, options):
    """Whether everything ran. What failed has said why in its log."""
    if not pathlib.Path(SNAKEMAKE).exists():
        raise UserError(f"{SNAKEMAKE} is missing", "install it: apt-get install snakemake")
    out = options.out.absolute()
    out.mkdir(exist_ok=True)
    (out / MARKER).write_text(json.dumps(dataclasses.asdict(campaign) | {"root": str(images.ROOT)}, indent=1) + "\n")
    # What a stop left half done is done again; what a changed file of the project left is told apart in gather().
    command = [SNAKEMAKE, "--snakefile", FOLDER / "Snakefile", "--directory", out, "--configfile", out / MARKER,
               "--jobs", options.jobs, "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime", "--nolock",
               "--quiet", "rules", *options.snakemake]
    return subprocess.run([str(part) for part in command], check=False).returncode == 0


# --- one report ----------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Gathered:
    comparisons: dict  # name of the parameters → Comparison
    options: dict  # name of the parameters → options
    shards: list  # what fuzz.py wrote
    problems: list


def gather(campaign, out):
    """Everything that is done, whatever else is missing."""
    found = Gathered({}, campaign.parameters, [], [])
    for name in campaign.parameters:
        parts = []
        for measure in _measures(campaign):
            if measure[0] != name:
                continue
            path = _results(out, measure)
            if path.exists():
                parts.append((" ".join(measure), merging.load(path)))
            else:
                found.problems.append(f"{' '.join(measure)}: failed; {out}/logs/{'-'.join(measure)}.log says why")
        if parts:
            found.comparisons[name] = merging.merge(parts)
            found.problems += [f"{name}: {problem}" for problem in found.comparisons[name].problems]
    for name, seed in _shards(campaign):
        path = pathlib.Path(out, "fuzz", name, f"{seed}.json")
        if not path.exists():
            found.problems.append(f"{name} seed {seed}: failed; {out}/logs/{name}-{seed}.log says why")
            continue
        shard = json.loads(path.read_text())
        found.shards.append(shard)
        if "finding" in shard:
            found.problems.append(f"{name} seed {seed}: {shard['finding']} "
                                  f"({', '.join(shard['inputs_kept']) or 'no input was kept'})")
    return found


def terminal(found):
    lines = []
    for name, measured in found.comparisons.items():
        lines += [f"{name}: {' '.join(found.options[name]) or 'no further options'}",
                  f"  {'mode':8}{'instructions':>14}{'+1,000/exit':>14}{'+2,000/exit':>14}{'script':>14}"]
        for mode in measured.modes:
            means = tables.mean_ratios(measured, mode) if mode in measured.by_mode else (None,) * 3
            cells = [f"{mean:.2f}×" if mean is not None else "" for mean in means]
            script = f"{measured.script[mode].instructions:,.0f}" if mode in measured.script else ""
            lines.append(f"  {mode:8}" + "".join(f"{cell:>14}" for cell in (*cells, script)))
    if found.shards:
        lines.append(f"fuzzers: {sum(shard['inputs'] for shard in found.shards):,} inputs in {len(found.shards)} processes, "
                     f"{sum('finding' in shard for shard in found.shards)} findings")
    return "\n".join(lines + [f"PROBLEM: {problem}" for problem in found.problems])


def write(found, out):
    """report.html and a folder for each set of parameters, with the report of experiments/compare."""
    for name, measured in found.comparisons.items():
        report.write(measured, pathlib.Path(out, name))
    rows = [(shard["fuzzer"], f"{shard['seed']}", f"{shard['inputs']:,}", shard.get("finding", "nothing"))
            for shard in found.shards]
    parts = [report.head("nopte: a campaign"), "<h1>A campaign</h1>"]
    if found.problems:
        parts.append("<h2 class=bad>Problems</h2><ul>" +
                     "".join(f"<li class=bad>{html.escape(problem)}" for problem in found.problems) + "</ul>")
    for name, measured in found.comparisons.items():
        options = html.escape(" ".join(found.options[name]) or "no further options")
        parts.append(f'<h2><a href="{name}/report.html">{name}</a></h2><p class=note>experiments/compare, {options}</p>')
        parts.append(report.key_figures(measured))
    parts.append(report.table("Fuzzers", "libFuzzer with sanitizers; a process for each seed.",
                              ("fuzzer", "seed", "inputs", "found"), rows))
    pathlib.Path(out, "report.html").write_text("\n".join(parts) + "\n")
