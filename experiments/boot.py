"""Boots the guest in QEMU: its shell on this terminal, or one command whose exit status becomes this one's."""

import argparse
import contextlib
import pathlib
import shlex
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from lib import boots, errors, images, initramfs, launcher, package_tree, picture  # noqa: E402

EPILOG = """\
examples:
  experiments/boot                                   a shell in mode vma
  experiments/boot --mode shadow -- /bin/busybox sh -c 'echo hello | md5sum'
  experiments/boot --with ./my-program -- /my-program --its-option
  experiments/boot --package sqlite3 -- sqlite3 :memory: 'select sqlite_version()'
  experiments/boot --picture space.svg -- sh -c 'echo now >/dev/nopte-mark'

On a terminal every key goes to the guest, Ctrl-C too. 'exit' ends the shell and the machine; Ctrl-] ends the machine
at once (status 130). Status 2 with a message that begins with 'error:' is this program's own.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="experiments/boot", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--mode", default="vma", choices=machine.ALL_MODES,
                        help="native: QEMU is the bare machine; the others: under the hypervisor (default vma); kvm-*: as "
                             "native, under Debian's KVM, whose package is downloaded")
    parser.add_argument("--with", dest="extra", action="append", default=[], metavar="HOST[:GUEST]",
                        help="add a file or folder to the guest's files (repeatable); with a dynamic program its libraries")
    parser.add_argument("--package", dest="packages", action="append", default=[], metavar="NAME",
                        help="add a Debian package and what it depends on to the guest's files (repeatable); apt downloads them, "
                             "once, nothing is installed here, and their installation scripts are not run")
    parser.add_argument("--rootfs", type=pathlib.Path, metavar="DIR",
                        help="the guest's files are those of DIR, as debootstrap makes one, and what --with adds; without a "
                             "command its /bin/sh is run")
    parser.add_argument("--memory", default=f"{machine.GUEST_MIB}M", metavar="SIZE",
                        help=f"what the guest gets, in every mode: MiB, or 512M, 1.5G (default {machine.GUEST_MIB}M)")
    parser.add_argument("--hide", action="append", default=[], choices=machine.HIDEABLE, metavar="NAME",
                        help="the hypervisor does not offer it (repeatable): " + ", ".join(machine.HIDEABLE))
    parser.add_argument("--aslr", type=int, metavar="SEED",
                        help="programs, heaps, mappings and stacks lie at random addresses, which this number decides, 0 to "
                             "2^64 - 1, and so it does what the guest calls random (default: always at the same addresses)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS",
                        help="end the machine after this long (default: 300 for a command, none for a shell)")
    parser.add_argument("--counters", type=pathlib.Path, metavar="FILE", help="keep the counters channel in FILE")
    parser.add_argument("--verbose", action="store_true",
                        help="the guest says too what it is and what it looked for; so it does with --hide")
    parser.add_argument("--picture", type=pathlib.Path, metavar="FILE.svg",
                        help="draw the address space that takes the last mark (a program writes to /dev/nopte-mark): what is "
                             "promised, installed, shared, in 2 MiB leaves; FILE.txt says it in words")
    parser.add_argument("--picture-at", metavar="MARK", help="the mark to draw at, by its text")
    parser.add_argument("--dry-run", action="store_true",
                        help="make this boot's files in a new folder below build/boot, print the QEMU command, and end")
    parser.add_argument("--gdb", action="store_true", help="wait for gdb on port 1234 before the first instruction")
    parser.add_argument("--accel", default="tcg", choices=("tcg", "kvm"),
                        help="tcg counts instructions and runs anywhere; kvm is fast where the host allows it")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --: a program and its arguments")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    options.memory = boots.memory_mib(options.memory)
    extra = [initramfs.parse_with(argument) for argument in options.extra]
    if options.timeout is not None and not options.timeout > 0:
        raise errors.UserError(f"--timeout {options.timeout:g}: not a time", "give seconds, more than 0")
    if options.aslr is not None and not 0 <= options.aslr < 2**64:
        raise errors.UserError(f"--aslr {options.aslr}: not a seed", "give a number from 0 to 2^64 - 1")
    if options.counters:
        try:
            options.counters.write_bytes(b"")
        except OSError as error:
            raise errors.UserError(f"--counters {options.counters}: {error.strerror}") from error
    check_picture(options)
    if options.rootfs is not None:
        if options.packages:
            raise errors.UserError("--rootfs and --package: the files would be mixed", "install the package into the folder")
        if not options.rootfs.is_dir():
            raise errors.UserError(f"--rootfs {options.rootfs}: not a folder")
    images.prepare(build=not options.dry_run, also=boots.targets(options.mode))
    if options.dry_run:
        parent = images.BUILD / "boot"
        parent.mkdir(exist_ok=True)
        with own_folder(parent, keep=True) as folder:
            print(shlex.join(machine.command(prepare(options, extra, folder))))
        return 0
    with own_folder() as folder:
        return run(options, prepare(options, extra, folder))


def check_picture(options):
    if options.picture is None:
        if options.picture_at is not None:
            raise errors.UserError("--picture-at: nothing is drawn", "add --picture FILE.svg")
        return
    if options.picture.suffix != ".svg":
        raise errors.UserError(f"--picture {options.picture}: not an SVG file's name", "let it end in .svg")
    write(options.picture, "")


def write(path, text):
    try:
        path.write_text(text)
    except OSError as error:
        raise errors.UserError(f"--picture {path}: {error.strerror}") from error


def draw(options, result):
    found = picture.chosen(picture.all_of(result), options.picture_at)
    write(options.picture, picture.svg(found, options.mode))
    write(options.picture.with_suffix(".txt"), picture.text(found))
    images.say(f"{picture.text(found)}picture: {options.picture}")


@contextlib.contextmanager
def own_folder(parent=None, keep=False):
    """A new folder for the files of one boot: no two share any. `keep`: unless making them fails."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nopte-boot-", dir=parent))
    try:
        yield folder
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def prepare(options, extra, folder):
    tree = package_tree.tree(options.packages) if options.packages else options.rootfs
    return boots.make(folder, options.mode, options.command, extra=extra, tree=tree, own=options.rootfs is None,
                      guest_mib=options.memory,
                      accel=options.accel, gdb=options.gdb, hide=options.hide,
                      verbose=options.verbose or bool(options.hide), pictures=options.picture is not None, aslr=options.aslr)


def run(options, boot):
    timeout = options.timeout
    if timeout is None and options.command and not options.gdb:
        timeout = 300
    if options.gdb:
        kernel = images.GUEST if options.mode == "native" else images.HYPERVISOR
        images.say(f"waiting: gdb {kernel} -ex 'target remote :1234'")
    elif not options.command and sys.stdin.isatty():
        images.say("Ctrl-] ends the machine")
    silence = launcher.KVM_SILENCE_SECONDS if options.accel == "kvm" else None
    console = launcher.StdoutConsole()
    output = picture.ConsoleWithout(console) if options.picture else console
    try:
        result = launcher.run(machine.command(boot), boot.counters, timeout, silence=silence, output=output,
                              keyboard=sys.stdin.fileno(), hidden=boot.hidden)
        if options.picture:
            output.finish()
    finally:
        console.finish()
        if options.counters and boot.counters.exists():
            shutil.copyfile(boot.counters, options.counters)
    if options.picture:
        draw(options, result)
    return result.status


if __name__ == "__main__":
    errors.run_main(main)
