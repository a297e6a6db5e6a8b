#include "guest-mm/kernel/process/process.h"

#include <algorithm>
#include <new>
#include <span>
#include <utility>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/process_slots.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "pvops/base/panic.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

Thread* g_current = nullptr;
Process* g_init = nullptr;
i32 g_pid_limit = kMostPids;
u64 g_most_threads = 0;
u64 g_thread_count = 0;

namespace {

// Chains by number; as many as there are threads, or more, as far as memory goes.
constexpr u32 kFirstBuckets = 256;
Thread* g_first_by_tid[kFirstBuckets] = {};
Thread** g_by_tid = g_first_by_tid;
u32 g_buckets = kFirstBuckets;  // a power of two
i32 g_last_id = 0;
bool g_chosen_ids = false;  // somebody chose a number (clone3's set_tid)

Thread*& bucket(i32 tid) { return g_by_tid[static_cast<u32>(tid) & (g_buckets - 1)]; }

void enter_by_tid(Thread& thread) {
  thread.next_by_tid = bucket(thread.tid);
  bucket(thread.tid) = &thread;
}

// Four times as many chains; without memory it stays as it is.
[[gnu::cold, gnu::noinline]] void add_buckets() {
  const u32 before = g_buckets, more = before * 4;
  auto** const chains = static_cast<Thread**>(heap_alloc(more * sizeof(Thread*)));
  if (chains == nullptr) {
    return;
  }
  std::fill_n(chains, more, nullptr);
  Thread** const old = std::exchange(g_by_tid, chains);
  g_buckets = more;
  for (u32 i = 0; i < before; ++i) {
    for (Thread* thread = old[i]; thread != nullptr;) {
      Thread* const next = thread->next_by_tid;
      enter_by_tid(*thread);
      thread = next;
    }
  }
  if (old != g_first_by_tid) {
    heap_free(old, before * sizeof(Thread*));
  }
}

// Whether a thread, group or session bears the number.
bool id_in_use(i32 id) {
  bool used = find_thread(id) != nullptr;
  for_each_process([&](Process& process) { used = used || process.pgid == id || process.sid == id; });
  return used;
}

i32 next_id() {
  static bool wrapped = false;
  do {
    if (++g_last_id >= g_pid_limit) {
      g_last_id = 2;
      wrapped = true;
    }
  } while ((wrapped || g_chosen_ids) && id_in_use(g_last_id));
  return g_last_id;
}

void forget_id(Thread& thread) {
  Thread** link = &bucket(thread.tid);
  while (*link != &thread) {
    link = &(*link)->next_by_tid;
  }
  *link = thread.next_by_tid;
  --g_thread_count;
  if (thread.watch != nullptr) [[unlikely]] {
    std::exchange(thread.watch, nullptr)->released();
  }
}

static_assert(sizeof(ThreadAndProcess) + sizeof(u64) + kSlotStackBytes <= kSlotBytes,
              "room for the kernel stack");

Result<void*> take_slot(i32 wanted) {
  if (wanted != 0 && id_in_use(wanted)) [[unlikely]] {
    return Fail(Status::kOverlap);
  }
  g_chosen_ids = g_chosen_ids || wanted != 0;
  return g_thread_count >= g_most_threads && g_most_threads != 0 ? Fail(Status::kAgain) : take_process_slot();
}

inline void begin_thread(Thread& thread, i32 wanted) {
  thread.stack_top = Gva{reinterpret_cast<u64>(&thread) + kSlotBytes};
  thread.credentials = &(g_current != nullptr ? *g_current->credentials : Credentials::initial());
  thread.credentials->retain();
  thread.registers = &arch::user_registers(thread.stack_top);
  thread.tid = wanted == 0 ? next_id() : wanted;
  enter_by_tid(thread);
  if (++g_thread_count > g_buckets) [[unlikely]] {
    add_buckets();
  }
}

}  // namespace

void set_thread_limit(u64 memory_bytes) {
  constexpr u64 kShare = 8, kStackBytes = pages_to_bytes(arch::kKernelStackPages), kLeast = 20;
  g_most_threads = std::max(memory_bytes / (kShare * kStackBytes), kLeast);
}

Result<Process*> create_process(i32 wanted) {
  const Result<void*> slot = take_slot(wanted);
  if (!slot) {
    return Fail(slot.error());
  }
  auto* both = new (*slot) ThreadAndProcess;
  Thread& leader = *both;
  Process& process = *both;
  begin_thread(leader, wanted);
  leader.process = &process;
  process.pid = leader.tid;
  process.last_thread = &leader;
  process.started_ns = platform_ops().now_ns();
  process.limits = &Limits::initial();
  process.limits->retain();
  if (g_init == nullptr) {
    g_init = &process;
    process.unkillable = true;
  }
  return &process;
}

namespace {

void leave_parent(Process& process, Process& parent) {
  (process.previous_sibling != nullptr ? process.previous_sibling->next_sibling : parent.first_child) =
      process.next_sibling;
  (process.next_sibling != nullptr ? process.next_sibling->previous_sibling : parent.last_child) =
      process.previous_sibling;
  if (parent.last_ended_child == &process) {
    parent.last_ended_child = process.previous_sibling;
  }
}

// Puts it behind `place`; null: first.
void join_siblings(Process& process, Process& parent, Process* place) {
  process.previous_sibling = place;
  process.next_sibling = place != nullptr ? place->next_sibling : parent.first_child;
  (place != nullptr ? place->next_sibling : parent.first_child) = &process;
  (process.next_sibling != nullptr ? process.next_sibling->previous_sibling : parent.last_child) = &process;
}

}  // namespace

void set_parent(Process& process, Process* parent) {
  if (process.parent != nullptr) {
    leave_parent(process, *process.parent);
  }
  process.parent = parent;
  if (parent == nullptr) {
    process.previous_sibling = nullptr;
    process.next_sibling = nullptr;
  } else if (!process.ended()) {
    join_siblings(process, *parent, parent->last_child);
  } else {
    Process* older = parent->last_ended_child;
    while (older != nullptr && older->pid > process.pid) {
      older = older->previous_sibling;
    }
    join_siblings(process, *parent, older);
    if (older == parent->last_ended_child) {
      parent->last_ended_child = &process;
    }
  }
}

void note_ended(Process& process) {
  Process& parent = *process.parent;
  Process* const last = parent.last_ended_child;
  if (process.previous_sibling == last && (last == nullptr || last->pid < process.pid)) {
    parent.last_ended_child = &process;  // it is there already
  } else {
    set_parent(process, &parent);
  }
}

Result<Thread*> create_thread(i32 wanted) {
  const Result<void*> slot = take_slot(wanted);
  if (!slot) {
    return Fail(slot.error());
  }
  auto* const thread = new (*slot) Thread;
  begin_thread(*thread, wanted);
  return thread;
}

void join_process(Thread& thread, Process& process) {
  thread.process = &process;
  thread.previous_in_group = process.last_thread;
  process.last_thread->next_in_group = &thread;
  process.last_thread = &thread;
  ++process.live_threads;
}

void release_thread(Thread& thread) {
  NOPTE_ASSERT(thread.space == nullptr && thread.files == nullptr && !thread.queued && &thread != g_current);
  if (Process* const process = thread.process; process != nullptr) {
    NOPTE_ASSERT(thread.state == ThreadState::kEnded && &thread != &process->leader());
    process->of_ended += spent_when_off(thread);
    thread.previous_in_group->next_in_group = thread.next_in_group;
    (thread.next_in_group != nullptr ? thread.next_in_group->previous_in_group : process->last_thread) =
        thread.previous_in_group;
  }
  if (thread.signals.pending.queue != nullptr) [[unlikely]] {
    drop_pending(thread.signals.pending, ~SignalSet{0});  // sent after it ended
  }
  forget_id(thread);
  thread.credentials->release();
  thread.~Thread();
  give_process_slot(&thread);
}

void release_process(Process& process) {
  Thread& leader = process.leader();
  NOPTE_ASSERT(leader.space == nullptr && leader.files == nullptr && process.first_child == nullptr);
  NOPTE_ASSERT(!leader.queued && &leader != g_current && process.last_thread == &leader);
  if (process.parent != nullptr) {
    leave_parent(process, *process.parent);
  }
  timer_stop(process.alarm);
  if (leader.signals.pending.queue != nullptr) [[unlikely]] {
    drop_pending(leader.signals.pending, ~SignalSet{0});
  }
  process.limits->release();
  if (process.signals.shared != nullptr) [[unlikely]] {
    drop_signal_actions(process);
  }
  leave_group(process);
  forget_id(leader);
  leader.credentials->release();
  process.~Process();
  leader.~Thread();
  give_process_slot(&leader);
}

Thread* find_thread(i32 tid) {
  Thread* thread = bucket(tid);
  while (thread != nullptr && thread->tid != tid) {
    thread = thread->next_by_tid;
  }
  return thread;
}

Process* find_process(i32 pid) {
  Thread* const leader = find_thread(pid);
  return leader != nullptr && leader->process->pid == pid ? leader->process : nullptr;
}

void for_each_thread(FunctionRef<void(Thread&)> visit) {
  for (Thread* thread : std::span(g_by_tid, g_buckets)) {
    while (thread != nullptr) {
      Thread* const next = thread->next_by_tid;
      visit(*thread);
      thread = next;
    }
  }
}

void for_each_process(FunctionRef<void(Process&)> visit) {
  for_each_thread([&](Thread& thread) {
    if (thread.tid == thread.process->pid) {
      visit(*thread.process);
    }
  });
}

u64 cpu_time_ns(const Process& process) {
  u64 ns = process.of_ended.cpu_ns;
  process.for_each_thread([&](const Thread& thread) { ns += cpu_time_ns(thread); });
  return ns;
}

}  // namespace nopte::guest
