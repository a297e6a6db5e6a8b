#!/bin/bash
# Compiles, assembles, archives and links several files, C and C++, and runs what comes of it.
set -e
mkdir -p /tmp/gcc && cd /tmp/gcc
for n in 1 2 3 4; do
  cat >part$n.c <<END
#include <stdint.h>
#include <string.h>
/* A table and a hash over it, so that the optimiser has work. */
static uint32_t table[256];
static void fill(void) {
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
}
uint32_t part$n(const char *text) {
  uint32_t c = ~0u;
  if (table[1] == 0) fill();
  for (size_t i = 0; i < strlen(text); ++i) c = table[(c ^ (unsigned char)text[i]) & 255] ^ (c >> 8);
  return ~c ^ $n;
}
END
done
cat >main.c <<'END'
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
uint32_t part1(const char *), part2(const char *), part3(const char *), part4(const char *);
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void *sort(void *data) {
  int *values = data;
  qsort(values, 20000, sizeof *values, compare);
  return NULL;
}
int main(void) {
  static int values[2][20000];
  pthread_t threads[2];
  unsigned seed = 1;
  for (int t = 0; t < 2; ++t) {
    for (int i = 0; i < 20000; ++i) values[t][i] = (int)((seed = seed * 1103515245u + 12345u) >> 16);
    if (pthread_create(&threads[t], NULL, sort, values[t]) != 0) return 1;
  }
  for (int t = 0; t < 2; ++t) pthread_join(threads[t], NULL);
  printf("%08x %08x %08x %08x\n", part1("one"), part2("two"), part3("three"), part4("four"));
  printf("%d %d %d %d\n", values[0][0], values[0][19999], values[1][0], values[1][19999]);
  return 0;
}
END
for n in 1 2 3 4; do gcc -O2 -Wall -c part$n.c; done
ar rcs libparts.a part1.o part2.o part3.o part4.o
gcc -O2 -Wall -o whole main.c -L. -lparts -pthread
./whole
gcc -O0 -g -static -o whole-static main.c -L. -lparts -pthread
./whole-static
gcc -E -dM -x c /dev/null | grep -c '^#define' >/dev/null && echo "preprocessed"
printf 'int main(void) { return undeclared; }\n' >bad.c
gcc -c bad.c 2>&1 | head -2 | sed 's/^/said: /' || true
gcc -shared -fPIC -o libshared.so part1.c
gcc -o with-shared -Wl,-rpath,'$ORIGIN' -x c - -L. -lshared <<'END'
#include <stdint.h>
#include <stdio.h>
uint32_t part1(const char *);
int main(void) { printf("shared %08x\n", part1("shared")); return 0; }
END
./with-shared
objdump -d whole | grep -c call >/dev/null && echo "disassembled"
cd / && rm -r /tmp/gcc
echo done
