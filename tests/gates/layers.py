#!/usr/bin/env python3
"""The layers' walls: what a folder may include, and what the guest kernel may refer to.

layers.py includes SOURCE_DIR       every #include "..." of a layer names a folder that the layer may use
layers.py symbols BUILD_DIR         guest-mm and pvops reach the translation layer only from choose_backend,
                                    and the images leave nothing undefined
"""

import pathlib
import re
import subprocess
import sys

ALLOWED = {
    "pvops": {"pvops"},
    "native-fallback": {"pvops", "native-fallback"},
    "hv-mm": {"pvops", "native-fallback", "hv-mm"},
    "guest-mm": {"pvops", "guest-mm"},
}
# The translation layer's rooms, from the bottom up: each may include those before it, and itself. guest/ and arch/
# are above all.
ROOMS = {
    "frames": set(),
    "format": {"frames"},
    "tables": {"frames", "format"},
    "sinks": {"frames", "format", "tables"},
    "engine": {"frames", "format", "tables"},
}
# The one file that may know the backends, and what it may know of them; and what takes its place in the image
# without paravirtualisation.
CHOOSER = "guest-mm/arch/x86_64/choose_backend.cc"
CHOOSERS = {CHOOSER, "guest-mm/arch/x86_64/without_paravirt/choose_native.cc"}
CHOOSER_INCLUDES = {"native-fallback/guest/native_backend.h"}
# The image's entry note names the boot tables; the guest kernel itself does not.
NOTE_SYMBOLS = {"boot_root"}
# The backends' tables are for boot: the kernel calls mm_ops() and platform_ops(), which patching finds.
TABLES = "pvops/chosen_ops.h"
TABLE_USERS = {CHOOSER, "guest-mm/arch/x86_64/panic_report.cc"}
TRANSLATION = re.compile(r"\bnopte::pt::")


def room_may_include(includer, included):
    if includer[0] != "native-fallback" or included[0] != "native-fallback" or includer[1] not in ROOMS:
        return True
    return included[1] == includer[1] or included[1] in ROOMS[includer[1]]


def check_includes(source):
    problems = []
    files = 0
    for layer, allowed in ALLOWED.items():
        for path in sorted((source / layer).rglob("*")):
            if path.suffix not in (".h", ".cc", ".S"):
                continue
            files += 1
            name = str(path.relative_to(source))
            for line, text in enumerate(path.read_text().splitlines(), 1):
                include = re.match(r'\s*#\s*include\s+"([^"]+)"', text)
                if include and not room_may_include(name.split("/"), include.group(1).split("/")):
                    problems.append(f"{name}:{line}: the room may not include {include.group(1)}")
                if include and include.group(1) == TABLES and layer == "guest-mm" and name not in TABLE_USERS:
                    problems.append(f"{name}:{line}: only boot may see the backends' tables")
                if not include or include.group(1).split("/")[0] in allowed:
                    continue
                if name in CHOOSERS and include.group(1) in CHOOSER_INCLUDES:
                    continue
                problems.append(f"{name}:{line}: {layer} may not include {include.group(1)}")
    if files == 0:
        problems.append(f"no sources below {source}")
    return problems


# Of the images' objects (tests/cmake/images.cmake).
TRANSLATION_PARTS = ("image_translation", "image_translation_guest", "image_translation_bare", "image_translation_interfaces")
GUEST_PARTS = ("image_guest", "image_guest_main", "image_stubs", "image_pvops")


def nm(*arguments):
    return subprocess.run(["nm", "--demangle", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def symbols_of(build, parts, *options):
    """(part, object file, nm's line) for each symbol of the parts' objects."""
    for part in parts:
        objects = sorted((build / "CMakeFiles" / f"{part}.dir").rglob("*.o"))
        if not objects:
            continue
        for line in nm("--print-file-name", *options, *objects).splitlines():
            path, _, symbol = line.partition(":")
            yield part, pathlib.Path(path), symbol


def check_symbols(build):
    problems = []
    for image in ("nopte-guest", "nopte-guest-native", "nopte-hv"):
        if (build / image).exists():
            problems += [f"{image}: undefined: {line.strip()}" for line in nm("-u", build / image).splitlines()]
        else:
            problems.append(f"{image}: not built")

    translation = set()
    for _, _, line in symbols_of(build, TRANSLATION_PARTS, "--defined-only", "--extern-only"):
        # Weak ones are inline functions of shared headers.
        fields = re.match(r"[0-9a-f]+ ([A-Z]) (.*)", line)
        if fields and fields.group(1) not in "VW":
            translation.add(fields.group(2))
    if not translation:
        problems.append("the translation layer defines nothing: wrong build folder?")

    objects = set()
    for part, object_file, line in symbols_of(build, GUEST_PARTS):
        objects.add(object_file)
        symbol = line[19:]
        if object_file.name == "choose_backend.cc.o":
            continue
        if TRANSLATION.search(symbol) or (symbol in translation and symbol not in NOTE_SYMBOLS):
            problems.append(f"{part}: {object_file.name} refers to the translation layer's {symbol}")
    if not objects:
        problems.append("no objects: wrong build folder?")
    return problems


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("includes", "symbols"):
        sys.exit(__doc__)
    check = check_includes if sys.argv[1] == "includes" else check_symbols
    problems = check(pathlib.Path(sys.argv[2]))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
