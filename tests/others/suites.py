"""The suites: SUITE.toml, which says what is built, how it is run, and why some are not."""

import dataclasses
import fnmatch
import pathlib
import re
import tomllib

from lib.errors import UserError

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ("selftests", "glibc")
# What must pass whole: issue by issue, these are what programs stand on.
CORE = ("memory", "fork", "exec", "wait", "signals", "futexes")


@dataclasses.dataclass
class Program:
    name: str  # FOLDER/FILE, without its ending
    area: str
    flags: list
    libraries: list
    sources: list
    timeout: int
    arguments: list = dataclasses.field(default_factory=list)
    setup: str = ""
    skip: str = ""
    differs: str = ""
    guest_only: bool = False  # it would do harm to this machine: taken as passing there
    dynamic: bool = False
    outside: str = ""  # it needs what nopte is not asked for: run, shown, not counted
    files: list = dataclasses.field(default_factory=list)  # beside it, from the sources

    @property
    def folder(self):
        return self.name.rpartition("/")[0]

    @property
    def file(self):
        return self.name.rpartition("/")[2]


@dataclasses.dataclass
class Suite:
    name: str
    package: str
    archive: str
    inside: str
    unpack: list
    folder: str
    support: dict  # a library that all are linked with: its sources, flags, and headers that stand for what is not there
    without: dict  # pattern → why those that match are not run
    programs: dict
    memory: int  # MiB that the guest needs

    def under(self, root):
        """With its patterns replaced by the programs whose sources lie below `root`, as far as rows do not name them."""
        programs = {}
        for name, program in self.programs.items():
            if "*" not in name:
                programs[name] = program
                continue
            for found in sorted((root / self.folder).glob(f"{name}.c")):
                name = str(found.relative_to(root / self.folder).with_suffix(""))
                why = next((why for pattern, why in self.without.items() if fnmatch.fnmatch(name, pattern)), "")
                if name not in self.programs:
                    programs[name] = dataclasses.replace(program, name=name, skip=why)
        return dataclasses.replace(self, programs=programs)


def load(name):
    data = tomllib.loads((HERE / f"{name}.toml").read_text())
    rows, programs = data.get("program", {}), {}
    for group in data["group"]:
        named = [row.removeprefix(f"{group['folder']}/") for row in rows if re.fullmatch(re.escape(group["folder"]) + "/[^/]+", row)]
        patterns = [file for file in group["programs"] if "*" in file]
        for file in group["programs"] + [row for row in named if patterns and row not in group["programs"]]:
            program = f"{group['folder']}/{file}"
            row = rows.pop(program, {})
            programs[program] = Program(
                program, row.pop("area", group["area"]), [*data["flags"], *group.get("flags", []), *row.pop("flags", [])],
                [*data["libraries"], *group.get("libraries", [])], [*group.get("sources", []), *row.pop("sources", [])],
                **{"timeout": group.get("timeout", data["timeout"]), **row})
    if rows:
        raise UserError(f"{name}.toml: {next(iter(rows))} is in no group")
    return Suite(name, data["package"], data["archive"], data["inside"], data["unpack"], data["folder"], data.get("support", {}),
                 data.get("without", {}), programs, data["memory"])
