// A traced thread, as its tracer and its stops have it.
//
// Ownership: a Tracee is on the list of its tracer (ThreadWatch::tracees), which owns it, and is known to the
// traced thread's watch (ThreadWatch::tracee). It may outlive its thread: one that is not its process's
// leader is there until it was waited for. Concurrency: one CPU, non-preemptible kernel; a stopped thread is
// off the CPU, its registers, FPU state and bases lie in its Thread.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/signals/signal_frame.h"

namespace nopte::guest {

// uapi/linux/ptrace.h.
namespace trace {
inline constexpr u32 kSysGood = 1, kExitKill = 1 << 20, kOptions = 0xff | kExitKill;
inline constexpr i32 kFork = 1, kVfork = 2, kClone = 3, kExec = 4, kVforkDone = 5, kExit = 6, kSeccomp = 7,
                     kStop = 128;
inline constexpr u64 kEntry = 1, kExitOfCall = 2;  // messages of a stop at a call
}  // namespace trace

// What a tracee was resumed for.
enum class Resume : u8 { kGo, kCalls, kStep, kEmulate, kEmulateStep };

struct Tracee : HeapAllocated {
  Ref<files::ThreadWatch> traced;
  Ref<files::ThreadWatch> tracer;
  Tracee* next = nullptr;
  Tracee** link = nullptr;
  i32 tid = 0;
  u32 options = 0;
  bool seized = false;
  bool privileged = false;  // Tracing::privileged
  Resume resume = Resume::kGo;
  bool trap_forced = false;  // the trap flag is the tracer's

  // The stop that it is in.
  bool stopped = false;
  bool waitable = false;        // nobody has waited for it yet
  bool listening = false;       // PTRACE_LISTEN
  i32 code = 0;                 // signal, and an event above it
  UserSigInfo* info = nullptr;  // of the stop, on the stopped thread's stack; null: none (a group stop)
  u64 message = 0;
  i32* answer = nullptr;  // where the signal to go on with is awaited

  // Stops to come.
  bool trap_stop = false;    // PTRACE_INTERRUPT, or seized at birth
  bool trap_notify = false;  // SIGCONT went to its process
  bool joined = false;       // it is counted among Process::parked

  // After its end.
  bool ended = false;  // and it was no leader: what follows is all that is left
  bool held = false;   // a process that ended, whose parent is told only when the tracer has seen it
  i32 status = 0;      // as wait4 reports it
  u32 uid = 0;
  i32 parent_pid = 0;  // of the parent of who is held
  u64 parent_started_ns = 0;

  u64 debug[8] = {};     // u_debugreg: kept and told
  UserSigInfo own_info;  // of a stop that began while nobody traced it

  [[nodiscard]] Thread* thread() const { return traced->thread(); }
  [[nodiscard]] Thread* tracer_thread() const { return tracer->thread(); }
  [[nodiscard]] bool reports_calls() const { return resume == Resume::kCalls; }
  [[nodiscard]] bool emulates() const { return resume == Resume::kEmulate || resume == Resume::kEmulateStep; }
  [[nodiscard]] bool steps() const { return resume == Resume::kStep || resume == Resume::kEmulateStep; }
  [[nodiscard]] bool wants(i32 event) const { return (options >> event & 1) != 0; }
};

// How a thread is traced.
struct Tracing {
  u32 options = 0;
  bool seized = false;
  // Who asked for it had CAP_SYS_PTRACE: the tracee may gain rights that its tracer has not. What the tracer
  // may do later does not count (ptracer_cred of Linux).
  bool privileged = false;
};

inline Tracee* tracee_of(const Thread& thread) {
  return thread.watch == nullptr ? nullptr : thread.watch->tracee;
}

// The thread is traced from now on. 0, or -kENOMEM: nothing has changed.
i64 begin_tracing(Thread& thread, Thread& tracer, const Tracing& how);
// It is traced no more, and goes on with that signal where a stop asks for one.
void let_go(Tracee& tracee, i32 signal);
// One that ended and was waited for.
void bury(Tracee& tracee);
// Goes on from its stop.
void resume_tracee(Tracee& tracee, i32 signal);
// It is to stop for PTRACE_INTERRUPT, SIGCONT and the like: a call that sleeps ends.
void poke(Tracee& tracee);
// SIGCHLD, and a wait that ends.
void tell_tracer(const Tracee& tracee, i32 code, i32 status);
// The real parent of one that is held; init where it is gone.
Process& parent_of_held(const Tracee& tracee);

// The running thread stops until its tracer resumes or leaves it, or SIGKILL comes: what it was resumed with.
i32 stop_for_tracer(Tracee& tracee, i32 code, i32 why, UserSigInfo* info, u64 message = 0);
// SIGKILL is to end the thread.
[[nodiscard]] bool is_killed(const Thread& thread);

// Nobody traces the running thread any more: its mark goes.
void forget_tracer();

// All that anybody traces: every list.
void for_each_tracee(FunctionRef<void(Tracee&)> visit);

}  // namespace nopte::guest
