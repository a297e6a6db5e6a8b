"""Debian packages of which a boot uses files: downloaded once into build/packages, opened there, never installed."""

import io
import pathlib
import subprocess
import tarfile

from . import images
from .errors import UserError

FOLDER = images.BUILD / "packages"
INSTALLER = images.ROOT / "tests" / "support" / "install-packages"


def fetch(name):
    """The package's file, downloaded if it is not there. `name` is one of install-packages download's."""
    folder = FOLDER / name
    found = sorted(folder.glob("*.deb"))
    if not found:
        done = subprocess.run([INSTALLER, "download", name, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
        found = sorted(folder.glob("*.deb"))
        if done.returncode != 0 or not found:
            why = done.stderr.strip().removeprefix("error: ") or "it left nothing"
            raise UserError(f"Debian's package for {name} cannot be had: {why}",
                            "look at /etc/apt/sources.list and run apt-get update, or put its .deb into "
                            f"{folder.relative_to(images.ROOT)}; modes and peers that do not need it work")
    return found[-1]


def version(deb):
    """Package and version, as its file's name says."""
    return pathlib.Path(deb).stem.removesuffix("_amd64").replace("_", " ").replace("%3a", ":")


def files(deb, wanted):
    """Path → bytes of the regular files in `deb` whose path, without a leading "./", `wanted` takes."""
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{deb} is not a package: {done.stderr.decode(errors='replace').strip()}", "delete it, and run this again")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            path = member.name.removeprefix("./")
            if member.isfile() and wanted(path):
                found[path] = archive.extractfile(member).read()
    return found
