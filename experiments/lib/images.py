"""The files that a boot needs: where the build leaves them, and how they come to be when they are missing."""

import os
import pathlib
import shutil
import subprocess
import sys
import threading

import machine

from .errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
BUILD_FUZZ = ROOT / "build-fuzz"
BUSYBOX = pathlib.Path("/bin/busybox")
WORKLOADS = ROOT / "experiments" / "workloads"

GUEST = BUILD / "nopte-guest"
GUEST_NATIVE = BUILD / "nopte-guest-native"
HYPERVISOR = BUILD / "nopte-hv"
PROGRAMS = BUILD / "programs"
MMLAT = PROGRAMS / "mmlat"
MMLAT_EXIT = PROGRAMS / "mmlat-exit"

TARGETS = ("nopte-guest", "nopte-hv", "mmlat", "mmlat-exit")


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(build=True, also=(), report=False):
    """Installs missing packages and brings the build up to date; says what it does when that takes time.

    `also`: targets that a boot does not need; `report`: what is found is drawn. With `build` false, only checks that
    everything is there.
    """
    if not build:
        _require_built()
        return
    install(*(["report"] if report else []))
    if not (BUILD / "build.ninja").exists():
        say("configuring the build (once)")
        _run("cmake", ["cmake", "--preset", "default"], "look at the message above")
    _ninja([*TARGETS, *also])
    _require_built()


def install(*what):
    """Installs packages that are missing; `what`: install-packages' names for more than a boot needs."""
    _run("install-packages", [ROOT / "tests" / "support" / "install-packages", *what],
         "install the packages it names by hand, then run this again")


def prepare_fuzzers(names):
    """Builds fuzzers."""
    install("tests")
    if not (BUILD_FUZZ / "build.ninja").exists():
        say("configuring the fuzzers' build (once)")
        _run("cmake", ["cmake", "--preset", "fuzz"], "look at the message above")
    _ninja(names, BUILD_FUZZ)


def prepare_hosted(target, packages):
    """Builds a program of this machine and answers with its path. `packages`: install-packages' name for what it needs."""
    install(packages)
    # Always: a package that was not there when the build was configured is there now.
    done = subprocess.run(["cmake", "--preset", "default"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"cmake failed with status {done.returncode}", done.stderr.strip())
    _ninja([target])
    return BUILD / "experiments" / target


def _ninja(targets, build=BUILD):
    """Builds what is not up to date; says so only when it takes time, shows the output only when it fails."""
    # Ninja's own default is two more than there are processors, and a compiler takes half a GiB.
    process = subprocess.Popen(["ninja", "-C", build, f"-j{len(os.sched_getaffinity(0))}", *targets], cwd=ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = threading.Timer(1.5, say, [f"building {', '.join(targets)} (a few minutes, once)"])
    told.start()
    output = process.communicate()[0]
    told.cancel()
    if process.returncode != 0:
        print(output, file=sys.stderr)
        raise UserError(f"the build failed with status {process.returncode}", "look at the message above")


def _require_built():
    for path in (GUEST, HYPERVISOR, MMLAT, MMLAT_EXIT):
        if not path.is_file():
            raise UserError(f"{path} is missing", "build it: cmake --preset default && ninja -C build")
    if not BUSYBOX.is_file():
        raise UserError(f"{BUSYBOX} is missing", "install it: apt-get install busybox-static")
    if shutil.which(machine.QEMU) is None:
        raise UserError(f"{machine.QEMU} is missing", "install it: apt-get install qemu-system-x86 seabios")


def _run(what, command, todo):
    try:
        done = subprocess.run([str(part) for part in command], cwd=ROOT, stdout=sys.stderr, check=False)
    except FileNotFoundError as error:
        raise UserError(f"{what}: {error.filename} is not there", todo) from error
    if done.returncode != 0:
        raise UserError(f"{what} failed with status {done.returncode}", todo)
