// /proc/<pid>/limits (fs/proc/base.c of Linux).
#include "guest-mm/kernel/files/proc/proc_texts.h"

namespace nopte::guest::files {

namespace {

struct Row {
  std::string_view name;
  std::string_view unit;
};
// In the order of Resource.
constexpr Row kRows[kResources] = {
    {"Max cpu time", "seconds"},    {"Max file size", "bytes"},      {"Max data size", "bytes"},
    {"Max stack size", "bytes"},    {"Max core file size", "bytes"}, {"Max resident set", "bytes"},
    {"Max processes", "processes"}, {"Max open files", "files"},     {"Max locked memory", "bytes"},
    {"Max address space", "bytes"}, {"Max file locks", "locks"},     {"Max pending signals", "signals"},
    {"Max msgqueue size", "bytes"}, {"Max nice priority", ""},       {"Max realtime priority", ""},
    {"Max realtime timeout", "us"}};
// Columns begin there.
constexpr u64 kNowAt = 26, kMostAt = 47, kUnitAt = 68;

void add(TextBuilder& out, u64 limit) {
  if (limit == kUnlimited) {
    out.add("unlimited");
  } else {
    out.add(limit);
  }
}

}  // namespace

void proc_process_limits(TextBuilder& out, Thread& thread, ProcScope) {
  out.add("Limit                     Soft Limit           Hard Limit           Units     \n");
  for (u32 resource = 0; resource < kResources; ++resource) {
    const Limit limit = limit_of(*thread.process, Resource{resource});
    const u64 line = out.size();
    out.add(kRows[resource].name);
    out.pad_to(line, kNowAt);
    add(out, limit.now);
    out.pad_to(line, kMostAt);
    add(out, limit.most);
    out.pad_to(line, kUnitAt);
    out.add(kRows[resource].unit);
    out.pad_to(line, kUnitAt + 10);
    out.add('\n');
  }
}

}  // namespace nopte::guest::files
