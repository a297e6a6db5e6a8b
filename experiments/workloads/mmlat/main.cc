// mmlat: what memory operations cost, row by row. Runs on any x86-64 Linux; figures are ticks of the
// time-stamp counter, which on the emulated machine of experiments/ are executed instructions.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "experiments/workloads/mmlat/children.h"
#include "experiments/workloads/mmlat/measure.h"
#include "experiments/workloads/mmlat/rows.h"

namespace {

constexpr const char* kUsage =
    "usage: mmlat [--rows NAME,NAME...] [--large] [--scale PERCENT] [--list]\n"
    "  --rows   measure these rows only (the empty span is always measured)\n"
    "  --large  measure the rows that need up to 5 GiB of memory, too; --rows measures what it names\n"
    "  --scale  run PERCENT of the usual repetitions and sizes, 1 to 1000 (default 100)\n"
    "  --list   print the rows' names and what they measure\n"
    "Prints 'row NAME ops N instructions TOTAL' per row; ends with status 1 if a row failed.\n";

int usage_error(const char* what, const char* which) {
  std::fprintf(stderr, "mmlat: %s: %s\n%s", what, which, kUsage);
  return 2;
}

// True if the comma-separated `list` holds `name`.
bool holds(const char* list, const char* name) {
  const size_t bytes = std::strlen(name);
  for (const char* at = list; at != nullptr;) {
    const char* comma = std::strchr(at, ',');
    const size_t length = comma != nullptr ? static_cast<size_t>(comma - at) : std::strlen(at);
    if (length == bytes && std::memcmp(at, name, bytes) == 0) return true;
    at = comma != nullptr ? comma + 1 : nullptr;
  }
  return false;
}

// Null, or the first name of `list` that is no row.
const char* unknown_row(char* list) {
  for (char* name = std::strtok(list, ","); name != nullptr; name = std::strtok(nullptr, ",")) {
    bool known = std::strcmp(name, "empty") == 0;
    for (const mmlat::Row& row : mmlat::all_rows()) known = known || std::strcmp(name, row.name) == 0;
    if (!known) return name;
  }
  return nullptr;
}

// The program of the fork+exec row lies beside this one.
void find_exec_program(const char* self) {
  static char path[4096];
  const char* slash = std::strrchr(self, '/');
  const int directory_bytes = slash != nullptr ? static_cast<int>(slash - self) + 1 : 0;
  std::snprintf(path, sizeof path, "%.*smmlat-exit", directory_bytes, self);
  mmlat::set_exec_program(path);
}

// Measures one row in this process.
int measure_row(const char* name) {
  mmlat::measure_empty_span(mmlat::Print::kNo);
  for (const mmlat::Row& row : mmlat::all_rows()) {
    if (std::strcmp(row.name, name) == 0) row.run(row.name);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* rows = nullptr;
  const char* row_here = nullptr;
  const char* scale = "100";
  bool large = false;
  for (int i = 1; i < argc; ++i) {
    const char* option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (std::strcmp(option, "--list") == 0) {
      for (const mmlat::Row& row : mmlat::all_rows()) std::printf("%-22s %s\n", row.name, row.what);
      return 0;
    }
    if (std::strcmp(option, "--help") == 0) {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (std::strcmp(option, "--large") == 0) {
      large = true;
      continue;
    }
    if (std::strcmp(option, "--rows") == 0 && value != nullptr) {
      static char copy[4096];
      std::snprintf(copy, sizeof copy, "%s", value);
      if (const char* unknown = unknown_row(copy)) return usage_error("unknown row", unknown);
      rows = value;
    } else if (std::strcmp(option, "--scale") == 0 && value != nullptr) {
      char* end = nullptr;
      const long percent = std::strtol(value, &end, 10);
      if (*end != '\0' || percent < 1 || percent > 1000) return usage_error("--scale takes 1 to 1000", value);
      mmlat::set_scale_percent(static_cast<uint64_t>(percent));
      scale = value;
    } else if (std::strcmp(option, "--row-here") == 0 && value != nullptr) {
      row_here = value;
    } else {
      return usage_error("unknown option, or no value after it", option);
    }
    ++i;
  }

  find_exec_program(argv[0]);
  mmlat::open_marks();
  if (row_here != nullptr) return measure_row(row_here);
  mmlat::measure_empty_span(mmlat::Print::kYes);
  int failed = 0;
  for (const mmlat::Row& row : mmlat::all_rows()) {
    const bool chosen = rows != nullptr ? holds(rows, row.name) : large || row.size == mmlat::Size::kUsual;
    if (!chosen) continue;
    mmlat::set_row(row.name);
    // A row fails alone: it runs in a process of its own, by exec, so that it shares no page with this one.
    const pid_t child = fork();
    if (child < 0) mmlat::fail("fork");
    if (child == 0) {
      const char* arguments[] = {argv[0], "--row-here", row.name, "--scale", scale, nullptr};
      execv(argv[0], const_cast<char* const*>(arguments));
      mmlat::fail("execv of mmlat itself; start it by its path");
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) mmlat::fail("waitpid");
    if (WIFSIGNALED(status)) {
      std::printf("row %s failed: killed by signal %d\n", row.name, WTERMSIG(status));
      std::fflush(stdout);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ++failed;
  }
  std::printf(failed == 0 ? "mmlat: done\n" : "mmlat: %d rows failed\n", failed);
  return failed == 0 ? 0 : 1;
}
