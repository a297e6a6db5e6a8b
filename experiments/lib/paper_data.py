"""What the paper is made from: a comparison, page walks and a census, each from a run of one's own or as papers/figures keeps them."""

import dataclasses
import json

from . import comparison, images, merging, results, walks
from .errors import UserError

KEPT = images.ROOT / "papers" / "figures"

# What makes the data of each part of the paper; the text names these and no other.
COMMANDS = {
    "compare": "experiments/compare --out DIR",
    "peers": "experiments/compare --modes all --peers --out DIR",
    "walks": "experiments/compare --walks --large --workload none --out DIR",
    "census": "experiments/census --json FILE",
    "paper": "experiments/paper --results DIR --census FILE",
}
# Programs whose page walks were counted.
WALK_TITLES = {"chase-64m": "chase, 64 MiB", "chase-1g": "chase, 1 GiB", "script": "script"}


@dataclasses.dataclass
class Data:
    comparison: comparison.Comparison  # with its walks, where there are some
    means: dict  # mode → {"instructions", "modelled_1000", "modelled_2000"}, over native
    peers_measured: dict  # peer → what its figures are of; empty: of an earlier program
    walk_facts: dict
    census: dict | None

    @property
    def by_mode(self):
        return self.comparison.by_mode

    def row(self, mode, name):
        return self.by_mode.get(mode, {}).get(name)


def read(folder=None, walks_file=None, census_file=None):
    """All of it. `folder`: what experiments/compare wrote; without it, and without the files, what is kept. Errors: UserError."""
    peers = _json(comparison.PEERS, "")
    data = _of_folder(folder) if folder else _of_kept(peers)
    data.peers_measured = peers.get("measured", {})
    path = walks_file or (KEPT / "walks.json" if not data.comparison.walks else None)
    if path is not None and path.exists():
        _take_walks(data, path)
    elif walks_file:
        raise UserError(f"--walks {walks_file}: there is no such file", f"make it: {COMMANDS['walks']}")
    data.comparison.walk_titles = WALK_TITLES
    path = census_file or KEPT / "census.json"
    if path.exists():
        data.census = _census(path)
    elif census_file:
        raise UserError(f"--census {census_file}: there is no such file", f"make it: {COMMANDS['census']}")
    return data


def _json(path, todo):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}", todo) from error


def _of_folder(folder):
    path = folder / "results.json"
    if not path.is_file():
        raise UserError(f"--results {folder}: holds no results.json", f"make it: {COMMANDS['compare']}")
    found = _json(path, f"make it again: {COMMANDS['compare']}")
    try:
        for row in found["published"]["rows"]:  # written before peers.json said which rows are of this project alone
            row.setdefault("own", row["linux"] is None)
        data = Data(merging.of_json(found), found["means"], {}, {}, None)
        if found.get("walks"):
            data.comparison.walks = [_walked(row, row["program"], row["row"], [model["references"] for model in row["models"]])
                                     for row in found["walks"]]
            data.walk_facts = found["facts"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the results of a comparison: {error!r}", f"make it again: {COMMANDS['compare']}") from error
    return data


def _kept_file():
    return _json(KEPT / "compare.json", "give --results DIR, what experiments/compare --out DIR wrote")


def kept():
    """The comparison that papers/figures keeps, beside what peers.json holds."""
    return _comparison(_kept_file(), _json(comparison.PEERS, ""))


def _comparison(found, peers):
    read_ = comparison.Comparison(list(found["means"]), peers["rows"], peers["about"], facts=found["about"], peers_script=peers["script"])
    for row in found["rows"]:
        for mode, figure in row["modes"].items():
            if figure is None:
                continue
            one = results.Figure(row["row"], mode, 1, figure["instructions"], figure["hypervisor_instructions"],
                                 figure["memory_exits"], figure["platform_exits"], 0.0,
                                 {"faults": figure["faults"]} | figure.get("reasons", {}))
            if row["row"] == "script":
                read_.programs.setdefault("script", {})[mode] = one
            else:
                read_.by_mode.setdefault(mode, {})[row["row"]] = one
    return read_


def _of_kept(peers):
    found = _kept_file()
    return Data(_comparison(found, peers), found["means"], {}, {}, None)


def _walked(row, program, name, references):
    used = row["used"].split(" ", 1)
    figure = results.Figure(name, row["mode"], 1, row["instructions"], 0.0, row["exits"], 0.0, 0.0, {})
    return walks.Walked(program, figure, used[0] == "two", 1.0 if used[1].startswith("4 KiB") else 0.0, {}, 0.0,
                        {model: {"references": count} for model, count in zip(walks.MODELS, references)})


def _take_walks(data, path):
    """Page walks as papers/figures keeps them."""
    found = _json(path, f"make it again: {COMMANDS['walks']}")
    try:
        data.comparison.walks = [_walked(row, row["program"], row["program"], row["references"]) for row in found["rows"]]
        data.walk_facts = found["about"]
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{path}: not page walks as papers/update_figures.py keeps them: {error!r}",
                        f"make them: {COMMANDS['walks']}, then papers/update_figures.py DIR") from error


def _census(path):
    found = _json(path, f"make it again: {COMMANDS['census']}")
    if not isinstance(found, dict) or not {"operations", "call_sites", "text", "published"} <= set(found):
        raise UserError(f"{path}: not a census", f"make it: {COMMANDS['census']}")
    return found
