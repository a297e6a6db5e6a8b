#!/bin/bash
# Three compressors, there and back, by one thread.
set -e
cd /tmp
i=0
while [ $i -lt 4000 ]; do echo "line $i of a text that repeats itself, $((i * i % 997))"; i=$((i + 1)); done >text
cat text text text text text text text text >long
md5sum <long
for tool in gzip xz zstd; do
  for level in 1 6; do
    $tool -$level -c <long >packed
    $tool -dc <packed | md5sum
    [ "$(wc -c <packed)" -lt "$(wc -c <text)" ] && echo "$tool -$level made it smaller"
  done
  head -c 1000 packed >cut
  $tool -dc <cut >/dev/null 2>&1 || echo "$tool: what is cut is refused"
done
rm -f text long packed cut
