// Threads: what the scheduler runs. A Thread and its kernel stack lie in one slot of kernel memory
// (process_slots.h), so that fork, clone and exit neither search nor zero. What its threads have in common is
// their Process (process.h), which lies in the slot of the first one, the leader.
//
// Ownership: a thread is its process's from create to release. `space`, `files` and `directories` are
// counted; which of them threads and processes share is clone's affair, as on Linux. Concurrency: one CPU,
// non-preemptible kernel.
#pragma once

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/process/rseq.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/schedule/wait_queue.h"
#include "guest-mm/kernel/signals/signal.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest {

struct Process;      // guest-mm/kernel/process/process.h
class AddressSpace;  // guest-mm/core/address_space.h
class Credentials;   // guest-mm/kernel/rights/credentials.h
namespace files {
class ProcessFiles;  // guest-mm/kernel/files/files.h
class ThreadWatch;   // guest-mm/kernel/files/events/pidfd.h
}  // namespace files

// Thread::signal_ready. With any bit a thread calls deliver_signals() on its way to user mode; with
// kByTracer, which one has from when it is traced until it passes there untraced, that is deliver_traced()'s
// (ptrace.h).
inline constexpr u8 kSignalReady = 1, kByTracer = 2;

enum class ThreadState : u8 { kRunnable, kSleeping, kStopped, kTraced, kEnded };

// A call with a deadline that a signal interrupted: what restart_syscall goes on with.
struct Restart {
  i64 (*go_on)(const Restart&) = nullptr;  // null: no call was interrupted
  u64 deadline_ns = 0;
  u64 address = 0;  // of a sleep: where to write what is left, 0 for nowhere; of poll: the entries; of a
                    // futex: the word
  u32 value = 0;    // of poll: how many entries; of a futex: what the word must be
  u32 bits = 0;     // the rest is a futex's
  bool is_private = false;
  bool by_wall = false;  // the deadline is a Unix time
};

struct Thread {
  // Read at every entry and exit.
  UserRegisters* registers = nullptr;  // top of the kernel stack
  Process* process = nullptr;
  AddressSpace* space = nullptr;               // null once the thread ended, as the next two
  files::ProcessFiles* files = nullptr;        // whose descriptors
  files::ProcessFiles* directories = nullptr;  // whose root and working directory
  ThreadState state = ThreadState::kRunnable;
  bool queued = false;              // on the run queue
  bool interruptible = false;       // asleep, and a signal ends the sleep
  bool killable = false;            // asleep, and SIGKILL ends the sleep
  u8 memory_policy = 0;             // set_mempolicy: memory_policy.cc
  bool too_many_processes = false;  // it became a user's who has more than RLIMIT_NPROC: exec fails
  bool owns_futex_locks = false;    // somebody may wait for a word that it owns (futex_locks.h)
  u8 signal_ready = 0;              // what deliver_signals() is for: refresh_signals() keeps it true

  i32 tid = 0;
  char comm[16] = {};

  arch::KernelContext context;
  Gva stack_top;
  u64 fs_base = 0;
  Thread* run_next = nullptr;
  Thread* next_by_tid = nullptr;
  Thread* next_in_group = nullptr;
  Thread* previous_in_group = nullptr;

  Thread* vfork_child = nullptr;   // until it ends or execs we wait on vfork_event
  Thread* vfork_parent = nullptr;  // whose vfork_child we are
  WaitQueue vfork_event;

  u64 set_child_tid = 0;               // user address, written when the thread starts; 0: none
  u64 clear_child_tid = 0;             // user address, written and woken at exit; 0: none
  Credentials* credentials = nullptr;  // one reference, until the thread is released

  u64 robust_list = 0;  // user address of the list's head (robust_list.h); 0: none
  Rseq rseq;

  files::ThreadWatch* watch = nullptr;  // by pidfds and ptrace; not owned

  // What it used, until it last left the CPU (usage.h).
  static constexpr u64 kOutsideCalls = ~u64{0};
  u64 cpu_ns = 0;
  u64 switches = 0;
  u64 preempted = 0;
  u64 slept_when_preempted = ~u64{0};  // how often it had slept when it was preempted last
  // It has not slept since it was preempted.
  [[nodiscard]] bool keeps_on() const { return switches - preempted == slept_when_preempted; }
  u64 system_ns = 0;                  // in system calls that are over
  u64 call_began_ns = kOutsideCalls;  // its processor time when the one that it is in began
  struct Scheduling {
    u8 policy = 0;  // SCHED_OTHER and its like; none makes a difference here (scheduling.h)
    u8 priority = 0;
    i16 nice = 0;
    bool reset_on_fork = false;
    u16 io = 0;  // ioprio_set's word
    u32 slice_ns = kSliceNs;
  };
  Scheduling scheduling;
  u64 deadline_times[3] = {};  // of SCHED_DEADLINE: runtime, deadline, period in ns; kept and told
  u32 personality = 0;
  u8 machine_check_kill = 2;  // PR_MCE_KILL_DEFAULT; kept and told, as the next two
  u64 timer_slack_ns = 50'000;
  u64 usual_timer_slack_ns = 50'000;  // that of the thread that made it
  Restart restart;

  // The last fault of user code, for the next signal frame.
  u64 trap_number = 0;
  u64 trap_error_code = 0;
  u64 trap_address = 0;

  ThreadSignals signals;
  arch::FpuState fpu;
};

// The running thread. Null only while the kernel starts.
extern Thread* g_current;
inline Thread& current() { return *g_current; }

// The slice of the running thread is up; looked at on the way to user mode.
extern bool g_resched;

inline bool signal_pending() { return g_current->signal_ready != 0 && refresh_signals(*g_current); }

// Any thread, ended ones that nobody has waited for included.
Thread* find_thread(i32 tid);
void for_each_thread(FunctionRef<void(Thread&)> visit);
extern u64 g_thread_count;
inline u64 thread_count() { return g_thread_count; }

}  // namespace nopte::guest
