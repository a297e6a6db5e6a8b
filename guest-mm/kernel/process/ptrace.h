// ptrace(2), as the rest of the kernel meets it (kernel/ptrace.c of Linux 6.12). What is kept of a traced
// thread is its Tracee (tracee.h).
//
// Threads that nobody traces pay nothing: a traced one has kByTracer in Thread::signal_ready, so that it
// passes deliver_traced() on its way to user mode; as long as any is traced, calls go through
// call_of_traced() (syscall.cc) and waits look further (g_thorough_waits, wait.cc); the end of a thread finds
// it in Thread::watch.
#pragma once

#include "guest-mm/kernel/process/clone_request.h"
#include "guest-mm/kernel/process/thread.h"

namespace nopte::guest {

// The process that traces it; null: none does.
[[nodiscard]] Process* tracer_of(const Thread& thread);
[[nodiscard]] inline bool is_traced(const Thread& thread) {
  return thread.watch != nullptr && tracer_of(thread) != nullptr;
}

// --- of the running thread, which is traced ---------------------------------------------------------------

// What deliver_signals() does for who has kByTracer.
void deliver_traced(UserRegisters& registers);
// A system call, with its stops.
i64 call_of_traced(const SyscallArgs& args);
// It is about to end with that status.
void trace_exit(i32 status);
// exit_process() with that stop, before which all other threads are told to end.
[[noreturn]] void exit_process_traced(i32 wait_status);
// A filter says SECCOMP_RET_TRACE with that data. False: nobody is told.
bool trace_seccomp(u32 data);
// It goes on as its process's leader after its exec.
void trace_exec_of_leader(UserRegisters& registers);

// The calls that make processes and threads, or end them, as a traced thread makes them; null: the number is
// of none.
SyscallHandler clone_of_traced(u64 number);
SyscallHandler exit_of_traced(u64 number);
// Before the child of the running thread runs: it is traced, too, where that was asked for. The event that
// the parent stops for once it does; 0: none.
i32 trace_child(Thread& child, const CloneRequest& request);
// The stop of such an event about the child `tid`, and of the end of a wait for it.
void trace_clone(i32 event, i32 tid);
void trace_vfork_done(i32 tid);

// --- from outside
// -------------------------------------------------------------------------------------------

// Whether a thread has to stop, or a traced one to tell.
[[nodiscard]] bool must_stop(const Thread& thread);
// SIGCONT or SIGKILL goes to a process with `attention`.
void resume_for_signal(Process& process, i32 signal);
// The process is to stop (once more): how many threads count as having done so.
[[nodiscard]] u32 parked_already(Process& process);
// Whether the parent is not to be told that it stopped: it traces it, and hears of that.
[[nodiscard]] bool seen_by_tracer_alone(const Process& process);
// The running thread, whose watch is there, has ended with that status: its tracer is told unless it leads,
// and whom it traces is let go.
void end_tracing(Thread& thread, i32 wait_status);
// The last thread of the process ended. True: it was traced, and who has to be told was.
[[nodiscard]] bool end_traced(Process& process);
// After its release.
void forget_tracee(files::ThreadWatch& watch);
// An exec by `self` goes on in `leader`.
void trace_leader_instead(Thread& self, Thread& leader);
// Whether an exec of the running thread may give it more rights: its tracer might use them.
[[nodiscard]] bool tracer_allows_identity();

}  // namespace nopte::guest
