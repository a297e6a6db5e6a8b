"""Debian packages with all that they depend on, as one folder of files for the guest: resolved, downloaded and verified by
apt, unpacked by dpkg-deb and tar, kept below build/packages. Nothing is installed here, and no package's scripts are run.

Programs' documentation, manual pages and translations are left out, as minimal images of Debian do.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

from . import images, packages
from .errors import UserError

# The guest's processor.
ARCHITECTURE = "amd64"
# Packages of before the merge have files in /bin and the like; in the tree these are links, as on Debian.
MERGED = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
LEFT_OUT = ("./usr/share/doc", "./usr/share/man", "./usr/share/info", "./usr/share/locale", "./usr/share/lintian")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+~:-]+)?")
# What apt-get --simulate says of each package.
_PLANNED = re.compile(r"^Inst (\S+) \(([^ )]+).* \[(\w+)\]\)", re.MULTILINE)
_UPDATE = "look at /etc/apt/sources.list and run apt-get update"


def tree(names):
    """The folder that holds the files of the packages and of what they need. Its path depends on the packages' versions."""
    for name in names:
        _check(name)
    with packages.alone():
        debs = _download(names)
        key = hashlib.sha256("\n".join(deb.name for deb in debs).encode()).hexdigest()[:16]
        folder = packages.FOLDER / "trees" / key
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as made:
                root = pathlib.Path(made) / "root"
                unpack(debs, root)
                root.rename(folder)
    return folder


def _check(name):
    match = _NAME.fullmatch(name)
    if match is None:
        raise UserError(f"--package {name}: not a package's name", "give names as apt-get install takes them")
    architecture = (match[1] or f":{ARCHITECTURE}")[1:]
    if architecture not in (ARCHITECTURE, "all"):
        raise UserError(f"--package {name}: the guest's processor is {ARCHITECTURE}, and cannot run {architecture}'s programs",
                        f"give {name.partition(':')[0]}")


def _state():
    """apt's own files here."""
    state = packages.FOLDER / "apt"
    (state / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    return state


def _options(state):
    """apt as on a machine on which nothing is installed, so that whatever is needed is in its answer; with its lists, sources
    and keys as they are here."""
    settings = {"Dir::State::status": state / "status", "Dir::State::extended_states": state / "extended_states",
                "Dir::Cache": state, "Dir::Cache::archives": state / "archives", "Debug::NoLocking": "1",
                "APT::Architecture": ARCHITECTURE, "APT::Architectures": ARCHITECTURE, "APT::Install-Recommends": "0",
                "APT::Sandbox::User": "", "APT::Keep-Downloaded-Packages": "1", "Acquire::Retries": "1"}
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _apt(state, names, *arguments):
    command = ["apt-get", *_options(state), "-qq", "-y", *arguments, "install", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise UserError("--package: this is no Debian: there is no apt-get", "give the program's files by --with or --rootfs") from error
    if done.returncode != 0:
        raise _why(names, done.stderr)
    return done.stdout


def _why(names, said):
    """What apt's complaint means."""
    errors = [line[3:].strip() for line in said.splitlines() if line.startswith("E: ")]
    if unknown := re.search(r"(?:Unable to locate package|no installation candidate.*|Couldn't find any package by \w+) ?'?([^\s']*)",
                            said):
        name = re.search(r"Package '([^']+)' has no", said)
        name = name[1] if name else unknown[1] or names[0]
        return UserError(f"--package {name}: the archive's lists have no such package for {ARCHITECTURE}", _UPDATE)
    for line in errors:
        if "Failed to fetch" in line or "Unable to fetch" in line:
            return UserError(f"--package {' '.join(names)}: the archive cannot be reached: {line}",
                             "look at the network and /etc/apt/sources.list; packages that were downloaded before boot without it")
    return UserError(f"--package {' '.join(names)}: apt-get: {errors[0] if errors else said.strip() or 'failed'}", _UPDATE)


def _planned(state, names):
    """The names of the .deb files that apt would unpack, asked again when its lists have changed."""
    lists = pathlib.Path("/var/lib/apt/lists")
    asked = [sorted(names), lists.stat().st_mtime_ns if lists.is_dir() else 0]
    kept = state / f"plan-{hashlib.sha256(' '.join(asked[0]).encode()).hexdigest()[:16]}.json"
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(kept.read_text())
        if found["asked"] == asked:
            return found["debs"]
    debs = []
    for name, version, architecture in _PLANNED.findall(_apt(state, names, "--simulate")):
        if architecture not in (ARCHITECTURE, "all"):
            raise UserError(f"--package {' '.join(names)}: {name} is for {architecture}, and the guest's processor is {ARCHITECTURE}")
        debs.append(f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_{architecture}.deb")
    kept.write_text(json.dumps({"asked": asked, "debs": sorted(debs)}))
    return sorted(debs)


def _download(names):
    """The .deb files, verified by apt; downloaded if they are not there."""
    state = _state()
    debs = [state / "archives" / name for name in _planned(state, names)]
    missing = [deb for deb in debs if not deb.is_file()]
    if missing:
        images.say(f"downloading {len(missing)} packages for {' '.join(names)} (once)")
        _apt(state, names, "--download-only")
    for deb in missing:
        if not deb.is_file():
            raise UserError(f"{deb.name} was not left by apt-get in {deb.parent}", "delete that folder, and run this again")
    return debs


def unpack(debs, root):
    """Unpacks packages into the new folder `root`, whose /usr is merged."""
    for name in MERGED[:3]:
        (root / "usr" / name).mkdir(parents=True)
    (root / "usr" / "lib64").mkdir()
    for name in MERGED[:4]:
        (root / name).symlink_to(f"usr/{name}")
    for deb in debs:
        _unpack(deb, root)
    for folder, mode in (("etc", 0o755), ("tmp", 0o1777), ("var", 0o755), ("run", 0o755), ("root", 0o700)):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(mode)


def _unpack(deb, root):
    excludes = [f"--exclude={path}" for path in LEFT_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        done = subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", *excludes, "-C", root],
                              stdin=reader.stdout, capture_output=True, check=False)
        reader.stdout.close()
        complaint = reader.stderr.read().decode(errors="replace").strip()
    if reader.returncode != 0 or done.returncode != 0:
        raise UserError(f"{deb} cannot be unpacked: {complaint or done.stderr.decode(errors='replace').strip()}",
                        "delete it, and run this again")

