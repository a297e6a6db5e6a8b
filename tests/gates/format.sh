#!/usr/bin/env bash
# Every C++ file is as clang-format-19 writes it (.clang-format).
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-format-19 >/dev/null || { echo "error: clang-format-19 is missing: apt-get install clang-format-19" >&2; exit 1; }
tests/support/sources .h .cc | xargs clang-format-19 --dry-run --Werror
