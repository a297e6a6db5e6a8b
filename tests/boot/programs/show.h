// For programs that print what each call answered: what they print on Linux is the check.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <initializer_list>

// The call, and its answer or the name of its error. Addresses are told as "there is one".
#define SHOW(call)                                       \
  do {                                                   \
    errno = 0;                                           \
    const long shown = long(call);                       \
    if (shown == -1 && errno != 0) {                     \
      printf("%s: %s\n", #call, strerrorname_np(errno)); \
    } else if (shown < -1 || shown > 0x10000000) {       \
      printf("%s: an address\n", #call);                 \
    } else {                                             \
      printf("%s: %ld\n", #call, shown);                 \
    }                                                    \
  } while (false)

// Lines are seen as they are printed, children's too.
inline void show_lines() { setvbuf(stdout, nullptr, _IOLBF, 4096); }
