// Signals: numbers, dispositions and delivery. The layouts are Linux's on x86-64 (asm/signal.h,
// asm-generic/siginfo.h); signal_frame.h holds what a handler sees on its stack.
//
// A signal of one number below 32 is pending at most once, and the first sender's information is kept; those
// of real time queue, in order, as long as RLIMIT_SIGPENDING and memory allow (signal_queue.h).
#pragma once

#include "guest-mm/kernel/arch.h"
#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;
struct Thread;
class WaitQueue;  // guest-mm/kernel/schedule/wait_queue.h

enum Signal : i32 {
  kSIGHUP = 1,
  kSIGINT = 2,
  kSIGQUIT = 3,
  kSIGILL = 4,
  kSIGTRAP = 5,
  kSIGABRT = 6,
  kSIGBUS = 7,
  kSIGFPE = 8,
  kSIGKILL = 9,
  kSIGUSR1 = 10,
  kSIGSEGV = 11,
  kSIGUSR2 = 12,
  kSIGPIPE = 13,
  kSIGALRM = 14,
  kSIGTERM = 15,
  kSIGSTKFLT = 16,
  kSIGCHLD = 17,
  kSIGCONT = 18,
  kSIGSTOP = 19,
  kSIGTSTP = 20,
  kSIGTTIN = 21,
  kSIGTTOU = 22,
  kSIGURG = 23,
  kSIGXCPU = 24,
  kSIGXFSZ = 25,
  kSIGVTALRM = 26,
  kSIGPROF = 27,
  kSIGWINCH = 28,
  kSIGIO = 29,
  kSIGPWR = 30,
  kSIGSYS = 31,
};
inline constexpr i32 kSignals = 64;

// Bit n - 1 is signal n.
using SignalSet = u64;
constexpr SignalSet signal_bit(i32 signal) { return SignalSet{1} << (signal - 1); }
inline constexpr SignalSet kUnblockable = signal_bit(kSIGKILL) | signal_bit(kSIGSTOP);

// si_code.
inline constexpr i32 kSiUser = 0, kSiKernel = 0x80, kSiQueue = -1, kSiTimer = -2, kSiTkill = -6;
inline constexpr i32 kSegvMaperr = 1, kSegvAccerr = 2, kBusAdraln = 1, kBusAdrerr = 2;
inline constexpr i32 kFpeIntdiv = 1, kFpeFltinv = 7, kIllIllopn = 2, kTrapBrkpt = 1, kTrapTrace = 2;
inline constexpr i32 kCldExited = 1, kCldKilled = 2, kCldDumped = 3, kCldTrapped = 4, kCldStopped = 5,
                     kCldContinued = 6;

// What SIGCHLD and waitid say of such a wait status.
constexpr i32 code_of_end(i32 wait_status) {
  constexpr i32 kSignal = 0x7f, kCore = 0x80;
  return (wait_status & kSignal) == 0 ? kCldExited : (wait_status & kCore) != 0 ? kCldDumped : kCldKilled;
}

// What a handler with SA_SIGINFO learns; the fields that the code makes meaningful.
struct SignalInfo {
  i32 code = 0;
  i32 pid = 0;  // sender or child; the number of a timer; si_band
  // Fault: si_addr. Child: its exit status or signal. Queued or of a timer: si_value. Of a file: si_fd.
  u64 value = 0;
  u32 uid = 0;    // sender or child; the overruns of a timer
  i32 error = 0;  // si_errno
};

// struct sigaction as rt_sigaction passes it.
struct SignalAction {
  u64 handler;  // kDefault, kIgnore or a user address
  u64 flags;
  u64 restorer;
  SignalSet mask;

  static constexpr u64 kDefault = 0, kIgnore = 1;
};
inline constexpr u64 kSaKnown =
    0x0001 | 0x0002 | 0x0004 | 0x0800 | 0x0400'0000 | 0x0800'0000 | 0x1000'0000 | 0x4000'0000 | 0x8000'0000;
inline constexpr u64 kSaNocldstop = 1, kSaNocldwait = 2, kSaSiginfo = 4, kSaRestorer = 0x0400'0000,
                     kSaOnstack = 0x0800'0000, kSaRestart = 0x1000'0000, kSaNodefer = 0x4000'0000,
                     kSaResethand = 0x8000'0000;

struct AlternateStack {
  u64 base = 0;
  u64 bytes = 0;         // 0: none
  bool disarms = false;  // SS_AUTODISARM: there is none while a handler runs on it
};

struct QueuedSignal;  // guest-mm/kernel/signals/signal_queue.h

inline constexpr i32 kFirstRealTime = 32;

struct PendingSignals {
  PendingSignals() {}  // NOLINT: `info` is written when a signal becomes pending
  SignalSet set = 0;
  SignalSet plain = 0;            // of these, whose information lies in `info`
  QueuedSignal* queue = nullptr;  // the others', the oldest first; owned
  union {
    SignalInfo info[kFirstRealTime - 1];
  };
};

// Of one thread. `pending` was sent to it alone.
struct ThreadSignals {
  PendingSignals pending;
  SignalSet blocked = 0;
  SignalSet heard = 0;  // not to vanish though they are ignored: who waits for them, or traces, hears them
  SignalSet saved_blocked = 0;  // rt_sigsuspend, ppoll: what to go back to after the handler
  bool restore_saved = false;
  AlternateStack alternate;
};

struct SignalActions {
  SignalSet set;  // signals whose action may be another than the default one, with no flags
  SignalAction of[kSignals];

  SignalAction& operator[](i32 signal) { return of[signal - 1]; }
  const SignalAction& operator[](i32 signal) const { return of[signal - 1]; }
};
// What processes share after CLONE_SIGHAND without CLONE_THREAD.
struct SharedActions;

// Of all threads of a process. Actions are not initialised: fork copies them.
struct GroupSignals {
  PendingSignals pending;  // for whichever thread does not block them
  SharedActions* shared = nullptr;
  SignalActions* actions = &own;
  SignalActions own;
};

// Makes `child`, which has none yet, have the same actions as `parent`, whichever changes them. Errors:
// kNoMemory.
Result<void> share_signal_actions(Process& child, Process& parent);
// From now on changes are the process's own.
void unshare_signal_actions(Process& process);
// As CLONE_CLEAR_SIGHAND: what is handled is not any more, what is ignored stays so.
void clear_signal_handlers(Process& process);
// The process will use them no more.
void drop_signal_actions(Process& process);

// Makes `signal` (1..64) pending for a process, or for one thread, and wakes who takes it; ignored ones
// vanish, SIGCONT and SIGKILL resume a stopped process. The target may be the running one. False: there was
// no room for one of real time, and nothing was sent.
bool send_signal(Process& target, i32 signal, const SignalInfo& info = {});
bool send_signal(Thread& target, i32 signal, const SignalInfo& info = {});
// Woken when a signal becomes pending anywhere: who waits for one without having it delivered looks whether
// it is its own (signalfd).
extern WaitQueue g_signal_watchers;
// To every process of the group; the number of processes that got it.
u64 signal_group(i32 pgid, i32 signal, const SignalInfo& info = {});
// The same of a session's (0: of any): whoever keeps a group's number may keep it longer than the group
// lives, and another session get the number.
u64 signal_group_of_session(i32 pgid, i32 session, i32 signal, const SignalInfo& info);
// As the running thread asks: 0, -ESRCH (null), -EINVAL, -EPERM, or -EAGAIN where none of real time has room.
// Signal 0 sends nothing.
i64 send_checked(Thread* target, i32 signal, const SignalInfo& info);
i64 send_checked(Process* target, i32 signal, const SignalInfo& info);
// To every process of the group: 0 when it reached one, else -EPERM, or -ESRCH when there is none.
i64 send_to_group(i32 pgid, i32 signal, const SignalInfo& info);
// A fault of the running thread: cannot be blocked or ignored (the process is killed then).
void force_signal(i32 signal, const SignalInfo& info);

// No longer pending anywhere in the process.
void forget_signal(Process& process, i32 signal);

// Replaces the blocked set (SIGKILL and SIGSTOP stay deliverable).
void set_blocked_signals(Thread& thread, SignalSet blocked);
// After a change of what is pending or blocked, or of the process's stop: whether deliver_signals() has
// something to do, which is the answer. What another thread took meanwhile may be counted still;
// signal_pending() looks again.
bool refresh_signals(Thread& thread);
// Whether the running thread is to end, whatever it handles or blocks.
bool kill_pending();
// Another thread of the process takes those of its pending signals that this thread takes no more.
void retarget_signals(const Thread& thread, SignalSet refused);
// Does what the running thread's action for the signal says; true: a handler is entered.
bool act_on_signal(UserRegisters& registers, i32 signal, const SignalInfo& info);
// Nothing more is to be delivered: a call that was interrupted goes on, the mask is what it was.
void finish_delivery(UserRegisters& registers);
// What a thread that sleeps does for a signal that it does not block.
void wake_for_signal(Thread& thread, i32 signal);

// On the way to user mode, with signal_pending() (thread.h): arranges the next handler, or ends or stops the
// process.
void deliver_signals(UserRegisters& registers);

}  // namespace nopte::guest
