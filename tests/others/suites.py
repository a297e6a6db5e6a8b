"""The suites: SUITE.toml, which says what is built, how it is run, and why some are not."""

import dataclasses
import pathlib
import tomllib

from lib.errors import UserError

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ("selftests",)
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
    programs: dict


def load(name):
    data = tomllib.loads((HERE / f"{name}.toml").read_text())
    rows, programs = data.get("program", {}), {}
    for group in data["group"]:
        for file in group["programs"]:
            program = f"{group['folder']}/{file}"
            row = rows.pop(program, {})
            programs[program] = Program(
                program, group["area"], [*data["flags"], *group.get("flags", []), *row.pop("flags", [])],
                [*data["libraries"], *group.get("libraries", [])], [*group.get("sources", []), *row.pop("sources", [])],
                **{"timeout": group.get("timeout", data["timeout"]), **row})
    if rows:
        raise UserError(f"{name}.toml: {next(iter(rows))} is in no group")
    return Suite(name, data["package"], data["archive"], data["inside"], data["unpack"], data["folder"], programs)
