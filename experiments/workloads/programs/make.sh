#!/bin/bash
# make -j2 over a tree of rules: what is out of date is made again, and no more. The shell's work stands for compilers'.
set -e
mkdir -p /tmp/make && cd /tmp/make
for n in $(seq 1 24); do seq 1 $((n * 40)) >in$n.txt; done
cat >Makefile <<'END'
parts := $(patsubst in%.txt,out%.txt,$(sort $(wildcard in*.txt)))
all: sum.txt
out%.txt: in%.txt
	@sort -rn $< | md5sum >$@
	@echo made >>log
sum.txt: $(parts)
	@cat $(parts) | md5sum >$@
	@echo sum >>log
.PHONY: all fails
fails: ; @echo "about to fail"; exit 3
END
make -j2 -s
sort log | uniq -c | sed 's/  */ /g'; cat sum.txt
make -j2 -s && sort log | uniq -c | sed 's/  */ /g'
touch -d '2038-01-01' in7.txt
make -j2 -s 2>/dev/null && sort log | uniq -c | sed 's/  */ /g'
make -s fails 2>/dev/null || echo "status $?"
cd / && rm -r /tmp/make
echo done
