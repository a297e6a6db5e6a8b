"""Compiles a suite's programs into build/others/SUITE; those that are there stay."""

import concurrent.futures
import hashlib
import os
import subprocess

import sources


def folder(suite):
    return sources.FOLDER / suite.name


def build(suite, programs):
    """The programs' files, by name; of those that cannot be built, what the compiler said."""
    root = sources.folder(suite)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(lambda program: _one(suite, root, program), programs))
    built = {program.name: result for program, result in zip(programs, results) if not isinstance(result, str)}
    failed = {program.name: result for program, result in zip(programs, results) if isinstance(result, str)}
    return built, failed


def _one(suite, root, program):
    """The file, or a line of the compiler's."""
    place = root / suite.folder / program.folder
    target = folder(suite) / program.folder / program.file
    command = ["gcc", *program.flags, f"{program.file}.c", *program.sources, "-o", target, *program.libraries]
    mark = target.with_name(f".{program.file}.made")
    made = hashlib.sha256("\n".join(map(str, (root, *command))).encode()).hexdigest()
    if target.exists() and mark.exists() and mark.read_text() == made:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        wrong = [line for line in done.stderr.splitlines() if "error:" in line or "undefined" in line]
        return (wrong or done.stderr.strip().splitlines() or ["the compiler failed"])[0]
    mark.write_text(made)
    return target
