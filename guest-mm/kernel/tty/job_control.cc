#include "guest-mm/kernel/tty/job_control.h"

#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::tty {

namespace {

constexpr SignalInfo kFromKernel{.code = kSiKernel};

bool leads_session(const Process& process) { return process.pid == process.sid; }

bool refuses(const Thread& thread, i32 signal) {
  return (thread.signals.blocked & signal_bit(signal)) != 0 ||
         (*thread.process->signals.actions)[signal].handler == SignalAction::kIgnore;
}

void take_from_all(const Terminal& terminal) {
  for_each_process([&](Process& process) {
    if (process.terminal == &terminal) {
      process.terminal = nullptr;
    }
  });
}

// It is nobody's.
void leave_session(Terminal& terminal) {
  take_from_all(terminal);
  terminal.session = terminal.foreground = 0;
}

}  // namespace

i64 check_foreground(const Terminal& terminal, i32 signal) {
  const Process& self = current_process();
  if (self.terminal != &terminal || terminal.foreground == 0 || self.pgid == terminal.foreground) {
    return 0;
  }
  if (refuses(current(), signal)) {
    return signal == kSIGTTIN ? -kEIO : 0;
  }
  if (orphaned_group(self.pgid)) {
    return -kEIO;
  }
  signal_group(self.pgid, signal, kFromKernel);
  return -kERESTARTSYS;
}

void acquire(Terminal& terminal) {
  Process& self = current_process();
  terminal.session = self.sid;
  terminal.foreground = self.pgid;
  self.terminal = &terminal;
  self.hung_up_group = 0;
}

i64 acquire_by_call(Terminal& terminal, bool steal, bool readable) {
  const Process& self = current_process();
  if (leads_session(self) && self.sid == terminal.session) {
    return 0;
  }
  if (!leads_session(self) || self.terminal != nullptr) {
    return -kEPERM;
  }
  const bool may_all = capable(Capability::kSysAdmin);
  if (terminal.session != 0) {
    if (!steal || !may_all) {
      return -kEPERM;
    }
    leave_session(terminal);
  }
  if (!readable && !may_all) {
    return -kEPERM;
  }
  acquire(terminal);
  return 0;
}

i64 give_up(const Terminal& terminal) {
  Process& self = current_process();
  if (self.terminal != &terminal) {
    return -kENOTTY;
  }
  if (leads_session(self)) {
    if (terminal.foreground != 0) {
      const SignalInfo info{.code = kSiUser, .pid = self.pid, .uid = identity().user.real};
      signal_group_of_session(terminal.foreground, self.sid, kSIGHUP, info);
      signal_group_of_session(terminal.foreground, self.sid, kSIGCONT, info);
    }
    self.hung_up_group = 0;
    leave_session(*self.terminal);
  }
  self.terminal = nullptr;
  return 0;
}

void leader_ended(Process& leader) {
  Terminal* const terminal = leader.terminal;
  if (terminal == nullptr) {
    if (const i32 group = std::exchange(leader.hung_up_group, 0); group != 0) {
      signal_group_of_session(group, leader.sid, kSIGHUP, kFromKernel);
      signal_group_of_session(group, leader.sid, kSIGCONT, kFromKernel);
    }
    return;
  }
  if (terminal->kind == Terminal::Kind::kSerial) {
    return hang_up(*terminal, SessionEnds::kYes);
  }
  if (terminal->foreground != 0) {
    signal_group_of_session(terminal->foreground, leader.sid, kSIGHUP, kFromKernel);
  }
  leave_session(*terminal);
}

void hang_up(Terminal& terminal, SessionEnds ends) {
  ++terminal.hang_ups;
  const i32 session = terminal.session;
  Process* const leader = session != 0 ? find_process(session) : nullptr;
  const i32 group = terminal.foreground;
  leave_session(terminal);
  if (leader != nullptr && leads_session(*leader)) {
    send_signal(*leader, kSIGHUP, kFromKernel);
    send_signal(*leader, kSIGCONT, kFromKernel);
    leader->hung_up_group = leader->ended() ? 0 : group;
  }
  if (ends == SessionEnds::kYes && group != 0) {
    signal_group_of_session(group, session, kSIGHUP, kFromKernel);
  }
  wake(terminal.changed);
}

}  // namespace nopte::guest::tty

namespace nopte::guest {

// vhangup(2): of the caller's own terminal.
i64 sys_vhangup(const SyscallArgs&) {
  if (!capable(Capability::kSysTtyConfig)) {
    return -kEPERM;
  }
  if (tty::Terminal* const terminal = current_process().terminal) {
    tty::hang_up(*terminal);
  }
  return 0;
}

}  // namespace nopte::guest
