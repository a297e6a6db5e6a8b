"""Debian's kernel, out of its package: the ELF file that is inside its image, and its modules."""

import ctypes
import dataclasses
import lzma
import pathlib
import re
import shutil
import struct
import zlib

from . import packages
from .errors import UserError

PACKAGE = "kernel"
# What KVM on AMD's processors is; what these depend on they say themselves.
KVM_MODULES = ("kvm", "kvm-amd")
# What every Linux that is measured or measures is started with: no work that this machine's faults do not ask for, and
# 4 KiB pages, as those have that the rows are about.
OPTIONS = ("mitigations=off", "nopti", "transparent_hugepage=never")
# Its own tests of ciphers are a third of its boot.
QUIET_OPTIONS = ("quiet", "loglevel=1", "console=ttyS0", "panic=-1", "cryptomgr.notests=1")

_MOST_ELF_BYTES = 1 << 30
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclasses.dataclass
class Kernel:
    version: str
    elf: pathlib.Path  # with a PVH entry
    image: pathlib.Path  # as the package has it, for loaders of its own
    modules: list  # files, each behind those that it needs


def kernel():
    """The kernel, unpacked beside its package; done once."""
    deb = packages.fetch(PACKAGE)
    folder = deb.parent / deb.stem
    with packages.alone():
        if not (folder / "done").exists():
            _unpack(deb, folder)
    order = (folder / "done").read_text().split()
    return Kernel(packages.version(deb), folder / "vmlinux", folder / "vmlinuz", [folder / name for name in order])


def _unpack(deb, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    found = packages.files(deb, lambda path: path.startswith("boot/vmlinuz-") or re.search(r"\.ko(\.xz)?$", path))
    images = [data for path, data in found.items() if path.startswith("boot/")]
    if not images:
        raise UserError(f"{deb.name} holds no kernel", "delete it, and run this again")
    (folder / "vmlinuz").write_bytes(images[0])
    (folder / "vmlinux").write_bytes(elf_of(images[0]))
    modules = {_module_name(path): (path, data) for path, data in found.items() if not path.startswith("boot/")}
    order = []
    for name in KVM_MODULES:
        _add_module(name, modules, order, deb)
    for name, data in order:
        (folder / name).write_bytes(data)
    (folder / "done").write_text("\n".join(name for name, _ in order))


def _module_name(path):
    return pathlib.PurePath(path).name.split(".")[0].replace("_", "-")


def _add_module(name, modules, order, deb):
    name = name.replace("_", "-")
    if f"{name}.ko" in (file for file, _ in order):
        return
    if name not in modules:
        raise UserError(f"{deb.name} has no module {name}: that kernel cannot run KVM on this machine",
                        "another version's package can be put in its place; modes and peers that do not need it work")
    path, data = modules[name]
    data = lzma.decompress(data) if path.endswith(".xz") else data
    for needed in depends(data):
        _add_module(needed, modules, order, deb)
    order.append((f"{name}.ko", data))


def depends(module):
    """The modules that a module names as those it needs."""
    match = _DEPENDS.search(module)
    return [name.decode() for name in match[1].split(b",") if name] if match else []


def elf_of(image):
    """The ELF file that a bzImage carries (Linux, Documentation/x86/boot.rst: payload_offset, payload_length)."""
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise UserError("the kernel's image is no bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    packed = image[begin:begin + length]
    try:
        if packed.startswith(b"\xfd7zXZ\0"):
            elf = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(packed)
        elif packed.startswith(b"\x1f\x8b"):
            elf = zlib.decompressobj(wbits=31).decompress(packed)
        elif packed.startswith(b"\x28\xb5\x2f\xfd"):
            elf = _zstd(packed)
        else:
            raise UserError(f"the kernel's image is packed in a way that is not known here ({packed[:4].hex()})")
    except (lzma.LZMAError, zlib.error) as error:
        raise UserError(f"the kernel's image cannot be unpacked: {error}") from error
    if not elf.startswith(b"\x7fELF"):
        raise UserError("the kernel's image holds no ELF file")
    return elf


def _zstd(packed):
    """By the library, which dpkg itself needs; the program is in a package that a minimal Debian does not have."""
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError as error:
        raise UserError("the kernel's image is packed with zstd, whose library is not there",
                        "install it: apt-get install libzstd1") from error
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    library.ZSTD_isError.argtypes = library.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    library.ZSTD_getErrorName.restype = ctypes.c_char_p
    # The four bytes behind the frame are its unpacked length.
    frame, length = packed[:-4], int.from_bytes(packed[-4:], "little")
    if length > _MOST_ELF_BYTES:
        raise UserError(f"the kernel's image cannot be unpacked: {length} bytes are more than a kernel has")
    unpacked = ctypes.create_string_buffer(length)
    done = library.ZSTD_decompress(unpacked, length, frame, len(frame))
    if library.ZSTD_isError(done):
        raise UserError(f"the kernel's image cannot be unpacked: {library.ZSTD_getErrorName(done).decode()}")
    return unpacked.raw[:done]
