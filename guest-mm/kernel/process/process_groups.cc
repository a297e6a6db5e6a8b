#include "guest-mm/kernel/process/process_groups.h"

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

namespace {

constexpr u32 kBuckets = 256;
Process* g_by_group[kBuckets] = {};

Process*& chain(i32 pgid) { return g_by_group[static_cast<u32>(pgid) % kBuckets]; }

}  // namespace

void join_group(Process& process, i32 pgid) {
  leave_group(process);
  process.pgid = pgid;
  Process*& first = chain(pgid);
  process.next_by_group = first;
  process.group_link = &first;
  if (first != nullptr) {
    first->group_link = &process.next_by_group;
  }
  first = &process;
}

void leave_group(Process& process) {
  if (process.group_link == nullptr) {
    return;
  }
  *process.group_link = process.next_by_group;
  if (process.next_by_group != nullptr) {
    process.next_by_group->group_link = process.group_link;
  }
  process.group_link = nullptr;
}

void for_each_of_group(i32 pgid, FunctionRef<void(Process&)> visit) {
  for (Process* process = chain(pgid); process != nullptr;) {
    Process* const next = process->next_by_group;
    if (process->pgid == pgid) {
      visit(*process);
    }
    process = next;
  }
}

bool any_of_group(i32 pgid, FunctionRef<bool(const Process&)> wanted) {
  for (const Process* process = chain(pgid); process != nullptr; process = process->next_by_group) {
    if (process->pgid == pgid && wanted(*process)) {
      return true;
    }
  }
  return false;
}

}  // namespace nopte::guest
