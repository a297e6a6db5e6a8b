// Processes: what a group of threads (thread.h) has in common. The process lies in the slot of its first
// thread, the leader, whose tid is the pid; the leader stays, ended, until the last thread ended and the
// process is released.
//
// Ownership: a process is owned by the table of threads from create to release; its parent releases it in
// wait4.
// Concurrency: one CPU, non-preemptible kernel.
#pragma once

#include "guest-mm/kernel/process/thread.h"
#include "guest-mm/kernel/rights/limits.h"
#include "guest-mm/kernel/time/spent.h"

namespace nopte::guest {

struct PosixTimer;     // guest-mm/kernel/time/posix_timers.cc
struct RealTimeLimit;  // guest-mm/kernel/time/real_time_limit.cc
namespace files {
class AioContext;  // guest-mm/kernel/files/events/aio.h
class Inode;
}  // namespace files
namespace ipc {
struct Undo;
}  // namespace ipc
namespace tty {
class Terminal;
}  // namespace tty

// Why threads of a process are to end. Each has SIGKILL pending then.
enum class Ending : u8 {
  kNo,
  kExec,  // all but `survivor`
  kExit,  // all; exit_status is set
};

// What is in a core file, of private memory: /proc/<pid>/coredump_filter (core(5)).
inline constexpr u16 kCoreAnonymous = 0x1, kCoreOfFiles = 0x4, kCoreKnown = 0x1ff, kCoreUsual = 0x33;

struct Process {
  i32 pid = 0;
  i32 pgid = 0;  // join_group() sets it
  i32 sid = 0;
  i32 hung_up_group = 0;              // a leader's whose terminal hung up: what was its foreground
  tty::Terminal* terminal = nullptr;  // the controlling one; not owned (tty/job_control.h)
  Process* next_by_group = nullptr;   // process_groups.h
  Process** group_link = nullptr;     // what points to this one there
  u32 live_threads = 1;               // 0: a zombie
  Thread* last_thread = nullptr;      // of the list; the leader is its first one
  Ending ending = Ending::kNo;
  Thread* survivor = nullptr;
  WaitQueue thread_ended;
  files::Inode* executable = nullptr;  // one reference, counted in `running`: the program; null for none
  Gva initial_stack;                   // where the program found argc; /proc/<pid>/cmdline reads there

  // Family. Zombies stay among the children until they are waited for, before those that live, both in the
  // order of their coming: who waits for any need not look at all.
  Process* parent = nullptr;
  Process* first_child = nullptr;
  Process* last_child = nullptr;
  Process* last_ended_child = nullptr;
  Process* next_sibling = nullptr;
  Process* previous_sibling = nullptr;
  i32 maker_tid = 0;      // of the parent's thread whose child it is under __WNOTHREAD
  WaitQueue child_event;  // a child ended, stopped or went on
  i32 exit_signal = kSIGCHLD;
  i32 exit_status = 0;   // as wait4 reports it: what the last thread, exit_group or a signal said
  u32 attention = 0;     // what may concern each thread; 0: nothing does
  u32 parked = 0;        // how many have
  bool stopped = false;  // all have, and the parent was told
  bool stop_reported = true;
  bool continue_reported = true;
  bool executed = false;    // since its fork: setpgid is not its parent's any more
  bool unclaimed = false;   // a zombie that nobody will wait for
  bool unkillable = false;  // init, until it faults: what others send does nothing unless it is handled

  u64 started_ns = 0;
  Spent of_ended;     // of the threads that were released
  Spent of_children;  // of the children waited for

  // The most pages that were in memory at one time, as rusage.h says; an exec keeps it.
  u64 most_resident = 0;
  u64 children_most_resident = 0;  // of any of the children waited for
  u64 faults = 0;                  // as rusage.h says
  u64 faults_of_left = 0;          // in the spaces of the programs before
  u64 children_faults = 0;         // of all of the children waited for
  u64 inherited_pages = 0;         // what was promised when it was forked
  bool as_its_maker = false;       // nobody counted it: it had what it was forked with
  bool children_as_self = false;   // a child waited for was like that
  struct Alarm : Timer {
    Process* process = nullptr;
    u64 interval_ns = 0;
  };
  Alarm alarm;                                // ITIMER_REAL
  PosixTimer* timers = nullptr;               // the others; owned
  RealTimeLimit* real_time_limit = nullptr;   // RLIMIT_RTTIME; owned
  files::AioContext* aio_contexts = nullptr;  // one reference to the first

  Limits* limits;  // one reference

  bool dumpable = true;  // prctl(2); others of its user may look into it
  bool child_subreaper = false;
  bool io_flusher = false;       // prctl(2); kept and told
  bool merges_memory = false;    // PR_SET_MEMORY_MERGE; kept, inherited and told
  short oom_score_adj = 0;       // kept, inherited and told: nobody is chosen to end
  u16 core_filter = kCoreUsual;  // inherited
  i32 parent_death_signal = 0;   // 0: none

  u32 barriers = 0;  // what membarrier(2) was told will be asked for; fork copies it

  ipc::Undo* semaphore_undos = nullptr;  // what the end of it undoes

  GroupSignals signals;

  // In `attention`: the signal that the threads are to stop by, or have; 0: they run. And whether some of
  // them have kByTracer.
  static constexpr u32 kStopSignal = 0xff, kTracing = 0x100;
  [[nodiscard]] i32 stop_signal() const { return static_cast<i32>(attention & kStopSignal); }
  void set_stop_signal(i32 signal) { attention = (attention & ~kStopSignal) | static_cast<u32>(signal); }

  // Walks the threads, ended ones that were not released included.
  template <class Visit>
  void for_each_thread(Visit visit) const {
    for (Thread* thread = last_thread; thread != nullptr;) {
      Thread* const previous = thread->previous_in_group;
      visit(*thread);
      thread = previous;
    }
  }
  [[nodiscard]] bool ended() const { return live_threads == 0; }
  [[nodiscard]] Thread& leader();
  [[nodiscard]] const Thread& leader() const { return const_cast<Process*>(this)->leader(); }
};

// What lies at the low end of a leader's slot.
struct ThreadAndProcess : Thread, Process {};
inline Thread& Process::leader() { return static_cast<ThreadAndProcess&>(*this); }

inline Process& current_process() { return *g_current->process; }

// A process of one thread with a pid of its own, `wanted` if that is not 0, in the table, without parent,
// space, files or signal actions. Errors: kAgain (as many threads as there may be), kNoMemory, kOverlap
// (`wanted` is in use).
Result<Process*> create_process(i32 wanted = 0);
// A thread with a tid of its own, in the table but not yet of the process, without space and files. Errors as
// above.
Result<Thread*> create_thread(i32 wanted = 0);
// The thread is one of the process from here on.
void join_process(Thread& thread, Process& process);
// Takes a thread that joined none, or that ended and is not a leader, out of its process and the table and
// frees it.
void release_thread(Thread& thread);
// /proc/sys/kernel: ids stay below the one, so many threads there are at most (0: any number).
inline constexpr i32 kMostPids = 1 << 22;  // Linux's on 64-bit machines
extern i32 g_pid_limit;
extern u64 g_most_threads;
// As Linux: no more threads than have their stacks in an eighth of memory.
void set_thread_limit(u64 memory_bytes);
// Makes `parent` (may be null) the parent; leaves an earlier one.
void set_parent(Process& process, Process* parent);
// Puts a process that ended before its siblings that live.
void note_ended(Process& process);
// Takes the process and its leader out of the table and the family and frees them, kernel stack included.
// Preconditions: it ended, no other thread of it is left, it does not run, it has no children.
void release_process(Process& process);
extern Process* g_init;
inline Process* init_process() { return g_init; }

Process* find_process(i32 pid);
void for_each_process(FunctionRef<void(Process&)> visit);

// Processor time of all its threads up to now.
u64 cpu_time_ns(const Process& process);

// The running process is to end with that status, all its other threads by themselves; unless that was said
// before, or an exec of another thread ends the running one alone.
void doom_process(i32 wait_status);
// Ends the running process with all its threads: status as wait4 reports it (exit code << 8, or the signal).
// The first status counts.
[[noreturn]] void exit_process(i32 wait_status);
// Ends the running thread, and the process with its last one.
[[noreturn]] void exit_thread(i32 wait_status);

}  // namespace nopte::guest
