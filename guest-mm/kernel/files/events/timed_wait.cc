#include "guest-mm/kernel/files/events/timed_wait.h"

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/files/wall_clock.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest::files {

u64 deadline_after(u64 ns) { return ns == 0 ? 0 : deadline_in(ns); }

u64 deadline_after(const Timespec& time) { return deadline_after(time.ns()); }

i64 load_deadline(u64 address, u64& deadline_ns) {
  deadline_ns = kNoDeadline;
  if (address == 0) {
    return 0;
  }
  Timespec time;
  if (const i64 error = get_user(time, address); error != 0) {
    return error;
  }
  if (!time.valid()) {
    return -kEINVAL;
  }
  deadline_ns = deadline_after(time.ns());
  return 0;
}

i64 TemporarySignalMask::begin(u64 address, u64 bytes) {
  if (address == 0) {
    return 0;
  }
  SignalSet set = 0;
  if (bytes != sizeof(set)) {
    return -kEINVAL;
  }
  if (const i64 error = get_user(set, address); error != 0) {
    return error;
  }
  ThreadSignals& signals = current().signals;
  signals.saved_blocked = signals.blocked;
  signals.restore_saved = true;
  set_blocked_signals(current(), set);
  active_ = true;
  return 0;
}

i64 TemporarySignalMask::finish(i64 result) {
  if (active_ && result != -kERESTARTNOHAND && result != -kEINTR) {
    ThreadSignals& signals = current().signals;
    signals.restore_saved = false;
    set_blocked_signals(current(), signals.saved_blocked);
  }
  return result;
}

}  // namespace nopte::guest::files
