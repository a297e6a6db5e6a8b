#!/usr/bin/env bash
# The model of the queue of region calls (papers/region_queue.pml): spin finds no order of steps that breaks a property,
# and does find one in each of the models in which one thing is broken.
#   model.sh        all of it
#   model.sh -D...  one model, for experiments
set -euo pipefail
model=$(cd "$(dirname "$0")/../../papers" && pwd)/region_queue.pml
command -v spin >/dev/null || { echo "error: spin is missing: apt-get install spin" >&2; exit 1; }
folder=$(mktemp -d -t nopte-model-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# check LEVEL OPTION...: what spin says of that model, by a checker compiled at that level: what is broken is soon found,
# and most of the time went to compiling.
check() {
  local level=$1
  shift
  rm -f pan*
  spin -a "$@" "$model"
  cc "$level" -DSAFETY -o pan pan.c
  ./pan -m100000 2>&1
}
# holds OPTION...: no error, and the search was whole.
holds() {
  local said
  said=$(check -O2 "$@")
  grep -q "errors: 0" <<<"$said" && ! grep -qE "max search depth too small|out of memory|not completed" <<<"$said" ||
    { echo "$said"; echo "error: the model $* does not hold" >&2; exit 1; }
  echo "holds: $*: $(grep "states, stored" <<<"$said")"
}
# breaks N TEXT OPTION...: an assertion with this text fails.
breaks() {
  local n=$1 text=$2 said
  shift 2
  said=$(check -O0 "-DBREAK=$n" "$@") || true
  grep "assertion violated" <<<"$said" | grep -qF -- "$text" ||
    { echo "$said"; echo "error: broken in way $n, the model fails in no such assertion: $text" >&2; exit 1; }
  echo "breaks: $n: $text"
}

if [ $# -ne 0 ]; then
  holds "$@"
  exit 0
fi
breaks 1 "(what>last_taken)"
breaks 2 "!(done[what])"
breaks 3 "!(cancelled[what])"
breaks 4 "(paid!=0)"
breaks 5 "!(installed[name])" -DHANDSHAKE
breaks 7 "!(installed[name])" -DHANDSHAKE
breaks 8 "(listed[(region[(what-16)]%1)]==(what-16))" -DHANDSHAKE
breaks 6 "((before==0)||(promised[r]!=before))"
holds
holds -DOPERATIONS=3 -DHANDSHAKE
holds -DOPERATIONS=2 -DTOUCHES=1 -DPROCESSORS=2
holds -DOPERATIONS=2 -DTOUCHES=1 -DPROCESSORS=2 -DHANDSHAKE
