#!/bin/bash
# Fields, arrays, regular expressions, formats, pipes to and from programs.
gawk 'BEGIN {
  for (i = 1; i <= 20000; i++) { words["key" i % 1000] += i; text = text " " i }
  n = asorti(words, sorted); print n, sorted[1], words["key7"], length(text)
  print substr(text, 100, 10), index(text, "999"), split(text, parts, " "), parts[10000]
  while (("echo one; echo two" | getline line) > 0) print "read", line
  print "b\na" | "sort"; close("sort")
  print gensub(/([a-z]+)-([0-9]+)/, "\\2 \\1", "g", "abc-12 def-34"), toupper("mixed Case")
  printf "%5.2f|%-6s|%06d|%c|%e\n", 22 / 7, "left", 42, "x", 12345.678
  print strftime("%Y-%m-%d %H:%M", 86400 * 365, 1), int(-7 / 2), 2 ^ 10, substr("hello", 2, 3)
  print match("foobarbaz", /bar/), RSTART, RLENGTH, and(12, 10), xor(12, 10), lshift(1, 10)
  if ((getline line < "/no/such/file") < 0) print "no such file"
  print system("exit 5"), ENVIRON["NOTHING"] == ""
}'
seq 1 10000 | gawk '{ sum += $1; if ($1 % 1000 == 0) print $1, sum } END { print NR, sum }'
printf 'a:1\nb:2\na:3\n' | gawk -F: '{ total[$1] += $2 } END { for (name in total) print name, total[name] | "sort" }'
