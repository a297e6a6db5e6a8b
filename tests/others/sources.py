"""The source packages that others' tests are in: downloaded by apt, what a suite needs of them unpacked below build/others."""

import io
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

from lib import images, packages
from lib.errors import UserError

FOLDER = images.BUILD / "others"


def folder(suite):
    """The folder in which `suite`'s sources lie. Its path depends on the package's version."""
    deb = packages.fetch(suite.package)
    place = FOLDER / "sources" / deb.stem
    with packages.alone():
        if not place.exists():
            images.say(f"unpacking {deb.name} (once)")
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as made:
                _unpack(deb, suite, pathlib.Path(made) / "root")
                (pathlib.Path(made) / "root").rename(place)
    return place / suite.inside


def version(suite):
    return packages.version(packages.fetch(suite.package))


def _unpack(deb, suite, root):
    """The tar archive that the package consists of, and of it the wanted folders."""
    root.mkdir()
    archive = packages.files(deb, lambda path: path == suite.archive).get(suite.archive)
    if archive is None:
        raise UserError(f"{deb.name} does not hold {suite.archive}", "delete it, and run this again")
    wanted = tuple(f"{suite.inside}/{path}" for path in suite.unpack)
    done = subprocess.run(["tar", "-xJ", "-C", root, *wanted], input=archive, capture_output=True, check=False)
    if done.returncode != 0:
        raise UserError(f"{deb.name} cannot be unpacked: {done.stderr.decode(errors='replace').strip()}", "delete it, and run this again")
