#!/usr/bin/env bash
# Every C++ file is as clang-format-19 writes it (.clang-format).
set -euo pipefail
cd "$(dirname "$0")/../.."
git ls-files '*.h' '*.cc' | xargs clang-format-19 --dry-run --Werror
