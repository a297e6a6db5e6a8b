// Processes. One Process has one kernel stack; both lie in one slot of kernel memory (process_slots.h), so
// that fork and exit neither search nor zero. No threads: clone without CLONE_VFORK may share an address
// space, nothing else.
//
// Ownership: a process is owned by the process table from create to release; its parent releases it in
// wait4. `space` is counted (posix_spawn and vfork share it until exec or exit).
// Concurrency: one CPU, non-preemptible kernel.
#pragma once

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/scheduler.h"
#include "guest-mm/kernel/signal.h"
#include "guest-mm/kernel/wait_queue.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest {

class AddressSpace;  // guest-mm/core/address_space.h
namespace files {
class ProcessFiles;  // guest-mm/kernel/files/files.h
class Inode;
}  // namespace files

enum class ProcessState : u8 { kRunnable, kSleeping, kStopped, kZombie };

// A call with a deadline that a signal interrupted: what restart_syscall goes on with.
struct Restart {
  i64 (*go_on)(const Restart&) = nullptr;  // null: no call was interrupted
  u64 deadline_ns = 0;
  u64 address = 0;  // of a sleep: where to write what is left, 0 for nowhere; of poll: the entries; of a
                    // futex: the word
  u32 value = 0;    // of poll: how many entries; of a futex: what the word must be
  u32 bits = 0;     // the rest is a futex's
  bool is_private = false;
};

struct Process {
  // Read at every entry and exit.
  UserRegisters* registers = nullptr;    // top of the kernel stack
  AddressSpace* space = nullptr;         // null once the process ended
  files::ProcessFiles* files = nullptr;  // one reference; null once the process ended
  files::Inode* executable = nullptr;    // one reference: the program that runs; null for none
  ProcessState state = ProcessState::kRunnable;
  bool queued = false;         // on the run queue
  bool interruptible = false;  // asleep, and a signal ends the sleep
  bool killable = false;       // asleep, and SIGKILL ends the sleep

  i32 pid = 0;
  i32 pgid = 0;
  i32 sid = 0;
  char comm[16] = {};
  Gva initial_stack;  // where the program found argc; /proc/<pid>/cmdline reads there

  arch::KernelContext context;
  Gva stack_top;
  u64 fs_base = 0;
  Process* run_next = nullptr;

  // Family. Zombies stay among the children until they are waited for.
  Process* parent = nullptr;
  Process* first_child = nullptr;  // the oldest
  Process* last_child = nullptr;
  Process* next_sibling = nullptr;
  Process* previous_sibling = nullptr;
  Process* next_by_pid = nullptr;
  WaitQueue child_event;            // a child ended, stopped or went on
  Process* vfork_child = nullptr;   // until it ends or execs we wait on vfork_event
  Process* vfork_parent = nullptr;  // whose vfork_child we are
  WaitQueue vfork_event;
  i32 exit_signal = kSIGCHLD;
  i32 wait_status = 0;  // as wait4 reports it, once a zombie or stopped
  bool stop_reported = true;
  bool continue_reported = true;

  u64 set_child_tid = 0;    // user address, written when the process starts; 0: none
  u64 clear_child_tid = 0;  // user address, written and woken at exit; 0: none
  u64 robust_list = 0;      // user address of the list's head (robust_list.h); 0: none

  // Time, in nanoseconds.
  u64 started_ns = 0;
  u64 cpu_ns = 0;           // until it last left the CPU
  u64 children_cpu_ns = 0;  // of the children waited for
  Timer alarm;              // ITIMER_REAL
  u64 alarm_interval_ns = 0;
  Restart restart;

  // The last fault of user code, for the next signal frame.
  u64 trap_number = 0;
  u64 trap_error_code = 0;
  u64 trap_address = 0;

  SignalState signals;
  arch::FpuState fpu;
};

// The running process. Null only while the kernel starts.
extern Process* g_current;
inline Process& current() { return *g_current; }

// The slice of the running process is up; looked at on the way to user mode.
extern bool g_resched;

inline bool signal_pending() { return (g_current->signals.pending & ~g_current->signals.blocked) != 0; }

// A process with a pid of its own, in the table, without parent, space, files or signal actions. Errors:
// kNoMemory.
Result<Process*> create_process();
// Makes `parent` (may be null) the parent; leaves an earlier one.
void set_parent(Process& process, Process* parent);
// Takes the process out of the table and the family and frees it, kernel stack included. Preconditions: it
// does not run, its space and files are gone, it has no children.
void release_process(Process& process);
Process* init_process();

Process* find_process(i32 pid);
void for_each_process(FunctionRef<void(Process&)> visit);
u64 process_count();

// Ends the running process: status as wait4 reports it (exit code << 8, or the signal).
[[noreturn]] void exit_process(i32 wait_status);

}  // namespace nopte::guest
