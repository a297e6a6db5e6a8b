#include "experiments/workloads/mmlat/measure.h"

#include <fcntl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace mmlat {
namespace {

int g_mark_fd = -1;
const char* g_row = "none";
uint64_t g_scale_percent = 100;
// Volatile: stored where the source says so, or the empty span would contain the first touch of their page.
volatile uint64_t g_begin_ticks = 0;
volatile uint64_t g_empty_ticks = 0;

void write_mark(const char* edge) {
  if (g_mark_fd < 0) return;
  char text[64];
  // With a line's end: where the file is Linux's log, a line without one is shown when the next comes.
  const int bytes = std::snprintf(text, sizeof text, "%s %s\n", edge, g_row);
  if (write(g_mark_fd, text, static_cast<size_t>(bytes)) != bytes) fail("the mark was not taken");
}

// One write per line: a row's result is whole or absent.
void print_row(uint64_t ops, uint64_t ticks) {
  char line[160];
  const int bytes =
      std::snprintf(line, sizeof line, "row %s ops %llu instructions %llu\n", g_row,
                    static_cast<unsigned long long>(ops), static_cast<unsigned long long>(ticks));
  if (write(STDOUT_FILENO, line, static_cast<size_t>(bytes)) != bytes) _exit(1);
}

}  // namespace

void open_marks() { g_mark_fd = open("/dev/nopte-mark", O_WRONLY | O_CLOEXEC); }

void begin_span(const char* name) {
  set_row(name);
  write_mark("begin");
  g_begin_ticks = __rdtsc();
}

void end_span(uint64_t ops) {
  const uint64_t ticks = __rdtsc() - g_begin_ticks;
  write_mark("end");
  print_row(ops, ticks > g_empty_ticks ? ticks - g_empty_ticks : 0);
}

void measure_empty_span(Print print) {
  // Twice: the first touches what the second uses.
  for (int round = 0; round < 2; ++round) {
    g_begin_ticks = __rdtsc();
    g_empty_ticks = __rdtsc() - g_begin_ticks;
  }
  if (print == Print::kNo) return;
  // The first marks touch code and stack for the first time; the second ones count.
  for (const char* name : {"warm-up", "empty"}) {
    set_row(name);
    write_mark("begin");
    write_mark("end");
  }
  print_row(1, g_empty_ticks);
}

void fail(const char* what) {
  char line[160];
  const int bytes =
      std::snprintf(line, sizeof line, "row %s failed: %s (%s)\n", g_row, what, std::strerror(errno));
  if (write(STDOUT_FILENO, line, static_cast<size_t>(bytes)) != bytes) _exit(2);
  _exit(1);
}

void expect(bool condition, const char* what) {
  if (!condition) fail(what);
}

void set_row(const char* name) { g_row = name; }

uint64_t scaled(uint64_t count) {
  const uint64_t result = count * g_scale_percent / 100;
  return result == 0 ? 1 : result;
}

void set_scale_percent(uint64_t percent) { g_scale_percent = percent; }

}  // namespace mmlat
