"""Compiles a suite's programs into build/others/SUITE; those that are there stay."""

import concurrent.futures
import hashlib
import os
import subprocess

from lib.errors import UserError
import sources


def folder(suite):
    return sources.FOLDER / suite.name


def build(suite, programs):
    """The programs' files, by name; of those that cannot be built, what the compiler said."""
    root = sources.folder(suite)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        library = _support(suite, root, pool) if suite.support else []
        results = list(pool.map(lambda program: _one(suite, root, program, library), programs))
    built = {program.name: result for program, result in zip(programs, results) if not isinstance(result, str)}
    failed = {program.name: result for program, result in zip(programs, results) if isinstance(result, str)}
    return built, failed


def _flags(suite, root):
    """Headers that stand for what only the suite's own build makes, then the suite's, behind the system's."""
    headers = folder(suite) / "headers"
    headers.mkdir(parents=True, exist_ok=True)
    for name, text in {**suite.support["headers"], **suite.support["sources_of_ours"]}.items():
        if not (headers / name).exists() or (headers / name).read_text() != text:
            (headers / name).write_text(text)
    behind = [part for name in suite.support["include"] for part in ("-idirafter", root / name)]
    return [f"-I{headers}", *(f"-include{headers / name}" for name in suite.support["before"]), *behind]


def _support(suite, root, pool):
    """What each program is compiled and linked with beside its own."""
    flags = _flags(suite, root)
    place = folder(suite) / "support"
    place.mkdir(parents=True, exist_ok=True)
    found = sorted(path for pattern in suite.support["sources"] for path in root.glob(pattern)
                   if path.name not in suite.support["without"])
    found += [folder(suite) / "headers" / name for name in suite.support["sources_of_ours"]]
    library = place / "libsupport.a"
    made = _made(root, *flags, *suite.support["flags"], *found)
    mark = place / ".made"
    if not (mark.exists() and mark.read_text() == made):
        objects = list(pool.map(lambda path: _object(path, place, [*suite.support["flags"], *flags]), found))
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", library, *objects], check=True)
        mark.write_text(made)
    return [*flags, library]


def _object(path, place, flags):
    target = place / f"{path.stem}.o"
    done = subprocess.run(["gcc", "-c", *flags, path, "-o", target], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{path.name} cannot be built: {_complaint(done.stderr)}")
    return target


def _made(*parts):
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _complaint(said):
    wrong = [line for line in said.splitlines() if "error:" in line or "undefined" in line]
    return (wrong or said.strip().splitlines() or ["the compiler failed"])[0]


def _one(suite, root, program, library):
    """The file, or a line of the compiler's."""
    place = root / suite.folder / program.folder
    target = folder(suite) / program.folder / program.file
    own = [flag for flag in program.flags if not (program.dynamic and flag == "-static")]
    command = ["gcc", *own, f"{program.file}.c", *program.sources, "-o", target, *library, *program.libraries]
    mark = target.with_name(f".{program.file}.made")
    made = _made(root, *command, *suite.support.get("headers", {}).values())
    if mark.exists() and mark.read_text().startswith(made):
        return target if target.exists() else mark.read_text().partition("\n")[2]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    wrong = _complaint(done.stderr) if done.returncode != 0 else ""
    mark.write_text(f"{made}\n{wrong}" if wrong else made)
    return wrong or target
