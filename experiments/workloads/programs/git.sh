#!/bin/bash
# A repository made, changed, packed, checked and cloned locally.
set -e
export HOME=/tmp/git GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
mkdir -p /tmp/git && cd /tmp/git
git init -q -b main one && cd one
for n in 1 2 3 4 5 6; do
  mkdir -p d$n
  for m in 1 2 3 4 5; do seq $n $((n * m * 20)) >d$n/f$m.txt; done
  git add . && git commit -q -m "commit $n"
done
git checkout -q -b side HEAD~2 && echo changed >d1/f1.txt && git commit -q -a -m side
git checkout -q main && git merge -q --no-edit side
git log --oneline --graph | sed 's/  *$//'
git diff --stat HEAD~3 | tail -1
git gc -q --prune=now && git fsck --no-progress && git count-objects -v | grep -v size
cd .. && git clone -q file:///tmp/git/one two && cd two
git log -1 --format='%H %s' && git ls-files | wc -l && git status --short | wc -l
git rev-parse HEAD^{tree}
git grep -c 99 -- d6 | head -3
git tag v1 && git describe --tags && git archive HEAD | md5sum
cd / && rm -rf /tmp/git
echo done
