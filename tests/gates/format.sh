#!/usr/bin/env bash
# Every C++ file is as clang-format-19 writes it (.clang-format), and no source has more than 400 lines: one file is
# one concept. Data is in files of other endings (.def, .toml, .txt, .json).
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-format-19 >/dev/null || { echo "error: clang-format-19 is missing: apt-get install clang-format-19" >&2; exit 1; }
tests/support/sources .h .cc | xargs clang-format-19 --dry-run --Werror
tests/support/sources .h .cc .S .py .sh .cmake .pml .smk CMakeLists.txt | xargs awk '
  FNR == 401 { print FILENAME ": more than 400 lines" > "/dev/stderr"; long = 1 }
  END { exit long }'
