// System calls about signals, but for rt_sigreturn (signal_delivery.cc).
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_frame.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

constexpr u64 kSetBytes = sizeof(SignalSet);

bool valid_signal(i64 signal) { return signal >= 1 && signal <= kSignals; }

Result<SignalSet> read_set(u64 address) {
  SignalSet set = 0;
  NOPTE_TRY(arch::copy_from_user(&set, Gva{address}, sizeof(set)));
  return set;
}

i64 write_set(u64 address, SignalSet set) {
  return arch::copy_to_user(Gva{address}, &set, sizeof(set)) ? 0 : -kEFAULT;
}

// Signal 0 asks whether the target exists.
bool may_send(const Thread& target, i32) { return may_signal(target); }
// Its own session a process may tell to go on.
bool may_send(const Process& target, i32 signal) {
  return (signal == kSIGCONT && target.sid == current_process().sid) || may_signal(target.leader());
}

template <class Target>
i64 send(Target* target, i32 signal, const SignalInfo& info) {
  if (target == nullptr) {
    return -kESRCH;
  }
  if (signal != 0 && !valid_signal(signal)) {
    return -kEINVAL;
  }
  if (!may_send(*target, signal)) {
    return -kEPERM;
  }
  return signal == 0 || send_signal(*target, signal, info) ? 0 : -kEAGAIN;
}

SignalInfo from_self(i32 code) {
  return {.code = code, .pid = current_process().pid, .uid = identity().user.real};
}

// What became of a signal to several: one that was reached is enough.
class Sent {
 public:
  void add(i64 result) {
    ++(result == -kEPERM ? refused_ : reached_);
    no_signal_ = no_signal_ || result == -kEINVAL;
  }
  [[nodiscard]] i64 result() const {
    return no_signal_ ? -kEINVAL : reached_ != 0 ? 0 : refused_ != 0 ? -kEPERM : -kESRCH;
  }

 private:
  u64 reached_ = 0;
  u64 refused_ = 0;
  bool no_signal_ = false;
};

}  // namespace

i64 send_checked(Thread* target, i32 signal, const SignalInfo& info) { return send(target, signal, info); }
i64 send_checked(Process* target, i32 signal, const SignalInfo& info) { return send(target, signal, info); }

i64 send_to_group(i32 pgid, i32 signal, const SignalInfo& info) {
  Sent sent;
  for_each_of_group(pgid, [&](Process& process) { sent.add(send(&process, signal, info)); });
  return sent.result();
}

i64 sys_rt_sigaction(const SyscallArgs& args) {
  const auto signal = static_cast<i32>(args.a0);
  if (args.a3 != kSetBytes || !valid_signal(signal)) {
    return -kEINVAL;
  }
  Thread& self = current();
  GroupSignals& group = self.process->signals;
  SignalAction& slot = (*group.actions)[signal];
  const SignalAction old = slot;
  if (args.a1 != 0) {
    SignalAction action;
    if (!arch::copy_from_user(&action, Gva{args.a1}, sizeof(action))) {
      return -kEFAULT;
    }
    if ((signal_bit(signal) & kUnblockable) != 0) {
      return -kEINVAL;
    }
    action.mask &= ~kUnblockable;
    action.flags &= kSaKnown;
    slot = action;
    group.actions->set |= signal_bit(signal);
    const bool ignores =
        action.handler == SignalAction::kIgnore ||
        (action.handler == SignalAction::kDefault &&
         (signal == kSIGCHLD || signal == kSIGCONT || signal == kSIGURG || signal == kSIGWINCH));
    if (ignores) {
      forget_signal(*self.process, signal);
    }
  }
  if (args.a2 != 0 && !arch::copy_to_user(Gva{args.a2}, &old, sizeof(old))) {
    return -kEFAULT;
  }
  return 0;
}

i64 sys_rt_sigprocmask(const SyscallArgs& args) {
  constexpr u64 kBlock = 0, kUnblock = 1, kSetMask = 2;
  if (args.a3 != kSetBytes) {
    return -kEINVAL;
  }
  Thread& self = current();
  const SignalSet old = self.signals.blocked;
  if (args.a1 != 0) {
    const Result<SignalSet> set = read_set(args.a1);
    if (!set) {
      return -kEFAULT;
    }
    switch (args.a0 & 0xffff'ffff) {
      case kBlock:
        set_blocked_signals(self, old | *set);
        break;
      case kUnblock:
        set_blocked_signals(self, old & ~*set);
        break;
      case kSetMask:
        set_blocked_signals(self, *set);
        break;
      default:
        return -kEINVAL;
    }
  }
  return args.a2 != 0 ? write_set(args.a2, old) : 0;
}

i64 sys_rt_sigpending(const SyscallArgs& args) {
  if (args.a1 > kSetBytes) {
    return -kEINVAL;
  }
  const Thread& self = current();
  const SignalSet set = (self.signals.pending.set | self.process->signals.pending.set) & self.signals.blocked;
  return arch::copy_to_user(Gva{args.a0}, &set, args.a1) ? 0 : -kEFAULT;
}

i64 sys_rt_sigsuspend(const SyscallArgs& args) {
  if (args.a1 != kSetBytes) {
    return -kEINVAL;
  }
  const Result<SignalSet> set = read_set(args.a0);
  if (!set) {
    return -kEFAULT;
  }
  Thread& self = current();
  self.signals.saved_blocked = self.signals.blocked;
  self.signals.restore_saved = true;
  set_blocked_signals(self, *set);
  while (sleep_until(kNoDeadline) != WakeReason::kSignal) {
  }
  return -kERESTARTNOHAND;
}

i64 sys_pause(const SyscallArgs&) {
  while (sleep_until(kNoDeadline) != WakeReason::kSignal) {
  }
  return -kERESTARTNOHAND;
}

// Takes a pending signal of the set, blocked ones included, waiting for one until the time is up.
i64 sys_rt_sigtimedwait(const SyscallArgs& args) {
  if (args.a3 != kSetBytes) {
    return -kEINVAL;
  }
  const Result<SignalSet> wanted = read_set(args.a0);
  if (!wanted) {
    return -kEFAULT;
  }
  u64 deadline_ns = kNoDeadline;
  if (args.a2 != 0) {
    Timespec timeout;
    if (!arch::copy_from_user(&timeout, Gva{args.a2}, sizeof(timeout))) {
      return -kEFAULT;
    }
    if (!timeout.valid()) {
      return -kEINVAL;
    }
    deadline_ns = deadline_in(timeout.ns());
  }
  Thread& self = current();
  ThreadSignals& signals = self.signals;
  PendingSignals& shared = self.process->signals.pending;
  const SignalSet set = *wanted & ~kUnblockable;
  for (;;) {
    SignalInfo taken;
    if (const i32 signal = take_pending(self, set, taken); signal != 0) {
      if (args.a1 != 0) {
        const UserSigInfo info = user_info(signal, taken);
        if (!arch::copy_to_user(Gva{args.a1}, &info, sizeof(info))) {
          return -kEFAULT;
        }
      }
      return signal;
    }
    // Unblocked while asleep, so that their arrival wakes us.
    const SignalSet awaited = signals.blocked & set;
    signals.heard |= awaited;
    set_blocked_signals(self, signals.blocked & ~set);
    const WakeReason reason = sleep_until(deadline_ns);
    if ((self.signal_ready & kByTracer) == 0) signals.heard = 0;
    set_blocked_signals(self, signals.blocked | awaited);
    if (((signals.pending.set | shared.set) & set) == 0) {
      if (reason == WakeReason::kTimeout) {
        return -kEAGAIN;
      }
      if (reason == WakeReason::kSignal) {
        return -kEINTR;
      }
    }
  }
}

i64 sys_sigaltstack(const SyscallArgs& args) {
  Thread& self = current();
  AlternateStack& stack = self.signals.alternate;
  const u64 rsp = args.registers.rsp;
  const UserSignalStack old = user_stack(stack, rsp);
  if (args.a0 != 0) {
    UserSignalStack wanted;
    if (!arch::copy_from_user(&wanted, Gva{args.a0}, sizeof(wanted))) {
      return -kEFAULT;
    }
    if (const i64 error = set_alternate_stack(stack, wanted, rsp); error != 0) {
      return error;
    }
  }
  if (args.a1 != 0 && !arch::copy_to_user(Gva{args.a1}, &old, sizeof(old))) {
    return -kEFAULT;
  }
  return 0;
}

i64 sys_kill(const SyscallArgs& args) {
  const auto pid = static_cast<i32>(args.a0);
  const auto signal = static_cast<i32>(args.a1);
  if (pid > 0) {
    // As Linux: any thread's number means its process.
    Thread* const thread = find_thread(pid);
    return send_checked(thread != nullptr ? thread->process : nullptr, signal, from_self(kSiUser));
  }
  if (pid == INT32_MIN) {
    return -kESRCH;
  }
  Process& self = current_process();
  if (pid != -1) {
    return send_to_group(pid == 0 ? self.pgid : -pid, signal, from_self(kSiUser));
  }
  // Everyone but init and ourselves.
  Sent sent;
  for_each_process([&](Process& process) {
    if (process.pid != 1 && &process != &self) {
      sent.add(send(&process, signal, from_self(kSiUser)));
    }
  });
  return sent.result();
}

namespace {

// What rt_sigqueueinfo takes from the program. 0, or -EFAULT, or -EPERM: only the kernel speaks to others as
// itself or as tkill does.
i64 load_info(u64 address, i32 target, SignalInfo& info) {
  UserSigInfo given;
  if (!arch::copy_from_user(&given, Gva{address}, sizeof(given))) {
    return -kEFAULT;
  }
  if ((given.code >= 0 || given.code == kSiTkill) && target != current_process().pid) {
    return -kEPERM;
  }
  info = {.code = given.code,
          .pid = given.from.pid,
          .value = given.words[1],
          .uid = given.from.uid,
          .error = given.error};
  return 0;
}

}  // namespace

i64 sys_rt_sigqueueinfo(const SyscallArgs& args) {
  const auto pid = static_cast<i32>(args.a0);
  SignalInfo info;
  if (const i64 error = load_info(args.a2, pid, info); error != 0) {
    return error;
  }
  Thread* const thread = find_thread(pid);
  return send_checked(thread != nullptr ? thread->process : nullptr, static_cast<i32>(args.a1), info);
}

i64 sys_rt_tgsigqueueinfo(const SyscallArgs& args) {
  const auto group = static_cast<i32>(args.a0);
  const auto tid = static_cast<i32>(args.a1);
  SignalInfo info;
  const i64 error = load_info(args.a3, tid, info);
  if (error != -kEFAULT && (group <= 0 || tid <= 0)) {
    return -kEINVAL;
  }
  if (error != 0) {
    return error;
  }
  Thread* const thread = find_thread(tid);
  return send_checked(thread != nullptr && thread->process->pid == group ? thread : nullptr,
                      static_cast<i32>(args.a2), info);
}

i64 sys_tgkill(const SyscallArgs& args) {
  const auto group = static_cast<i32>(args.a0);
  const auto tid = static_cast<i32>(args.a1);
  const auto signal = static_cast<i32>(args.a2);
  if (group <= 0 || tid <= 0) {
    return -kEINVAL;
  }
  Thread* const thread = find_thread(tid);
  return thread != nullptr && thread->process->pid == group
             ? send_checked(thread, signal, from_self(kSiTkill))
             : -kESRCH;
}

i64 sys_tkill(const SyscallArgs& args) {
  const auto tid = static_cast<i32>(args.a0);
  const auto signal = static_cast<i32>(args.a1);
  if (tid <= 0) {
    return -kEINVAL;
  }
  return send_checked(find_thread(tid), signal, from_self(kSiTkill));
}

}  // namespace nopte::guest
