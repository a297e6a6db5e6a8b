#include "guest-mm/kernel/process.h"

#include <new>

#include "guest-mm/kernel/process_slots.h"
#include "pvops/base/panic.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

Process* g_current = nullptr;

namespace {

constexpr i32 kMaxPid = 1 << 22;  // Linux's on 64-bit machines
constexpr u32 kBuckets = 256;

Process* g_by_pid[kBuckets] = {};
Process* g_init = nullptr;
u64 g_count = 0;
i32 g_last_pid = 0;

Process*& bucket(i32 pid) { return g_by_pid[static_cast<u32>(pid) % kBuckets]; }

// A number that no process, group or session bears.
bool pid_in_use(i32 pid) {
  bool used = false;
  for_each_process([&](Process& process) {
    used = used || process.pid == pid || process.pgid == pid || process.sid == pid;
  });
  return used;
}

i32 next_pid() {
  static bool wrapped = false;
  do {
    if (++g_last_pid >= kMaxPid) {
      g_last_pid = 2;
      wrapped = true;
    }
  } while (wrapped && pid_in_use(g_last_pid));
  return g_last_pid;
}

static_assert(sizeof(Process) + u64{14} * 1024 <= kSlotBytes, "room for the kernel stack");

}  // namespace

Result<Process*> create_process() {
  const Result<void*> slot = take_process_slot();
  if (!slot) {
    return Fail(slot.error());
  }
  auto* process = new (*slot) Process;
  process->stack_top = Gva{reinterpret_cast<u64>(*slot) + kSlotBytes};
  process->registers = &arch::user_registers(process->stack_top);
  process->pid = next_pid();
  process->started_ns = platform_ops().now_ns();
  process->next_by_pid = bucket(process->pid);
  bucket(process->pid) = process;
  ++g_count;
  if (g_init == nullptr) {
    g_init = process;
  }
  return process;
}

void set_parent(Process& process, Process* parent) {
  if (Process* old = process.parent; old != nullptr) {
    (process.previous_sibling != nullptr ? process.previous_sibling->next_sibling : old->first_child) =
        process.next_sibling;
    (process.next_sibling != nullptr ? process.next_sibling->previous_sibling : old->last_child) =
        process.previous_sibling;
  }
  process.parent = parent;
  process.previous_sibling = nullptr;
  process.next_sibling = nullptr;
  if (parent != nullptr) {
    process.previous_sibling = parent->last_child;
    (parent->last_child != nullptr ? parent->last_child->next_sibling : parent->first_child) = &process;
    parent->last_child = &process;
  }
}

void release_process(Process& process) {
  NOPTE_ASSERT(process.space == nullptr && process.files == nullptr && process.first_child == nullptr);
  NOPTE_ASSERT(!process.queued && &process != g_current);
  set_parent(process, nullptr);
  timer_stop(process.alarm);
  Process** link = &bucket(process.pid);
  while (*link != &process) {
    link = &(*link)->next_by_pid;
  }
  *link = process.next_by_pid;
  --g_count;
  process.~Process();
  give_process_slot(&process);
}

Process* init_process() { return g_init; }

Process* find_process(i32 pid) {
  for (Process* process = bucket(pid); process != nullptr; process = process->next_by_pid) {
    if (process->pid == pid) {
      return process;
    }
  }
  return nullptr;
}

void for_each_process(FunctionRef<void(Process&)> visit) {
  for (Process* process : g_by_pid) {
    while (process != nullptr) {
      Process* next = process->next_by_pid;
      visit(*process);
      process = next;
    }
  }
}

u64 process_count() { return g_count; }

}  // namespace nopte::guest
