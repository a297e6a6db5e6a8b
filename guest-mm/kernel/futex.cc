#include "guest-mm/kernel/futex.h"

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time.h"

namespace nopte::guest {

namespace {

// Lies on the waiter's stack.
struct FutexWaiter {
  FutexWaiter(const AddressSpace& owner, u64 word) : space(&owner), address(word) {
    next = first;
    first = this;
  }
  ~FutexWaiter() {
    FutexWaiter** link = &first;
    while (*link != this) {
      link = &(*link)->next;
    }
    *link = next;
  }

  const AddressSpace* space;
  u64 address;
  WaitQueue queue;
  bool woken = false;
  FutexWaiter* next;

  static FutexWaiter* first;
};
FutexWaiter* FutexWaiter::first = nullptr;

constexpr u64 kWait = 0, kWake = 1, kWaitBitset = 9, kWakeBitset = 10;
constexpr u64 kPrivate = 128, kClockRealtime = 256;
constexpr u32 kAnyBit = 0xffff'ffff;

i64 wait(u64 address, u32 expected, u64 deadline_ns) {
  u32 value = 0;
  if (!arch::copy_from_user(&value, Gva{address}, sizeof(value))) {
    return -kEFAULT;
  }
  if (value != expected) {
    return -kEAGAIN;
  }
  FutexWaiter waiter(*current().space, address);
  while (!waiter.woken) {
    switch (block_on(waiter.queue, deadline_ns)) {
      case WakeReason::kWoken:
        break;
      case WakeReason::kSignal:
        return waiter.woken ? 0 : deadline_ns == kNoDeadline ? -kERESTARTSYS : -kEINTR;
      case WakeReason::kTimeout:
        return waiter.woken ? 0 : -kETIMEDOUT;
    }
  }
  return 0;
}

}  // namespace

u64 futex_wake(const AddressSpace& space, u64 address, u64 most) {
  u64 woken = 0;
  for (FutexWaiter* waiter = FutexWaiter::first; waiter != nullptr && woken < most; waiter = waiter->next) {
    if (waiter->space == &space && waiter->address == address && !waiter->woken) {
      waiter->woken = true;
      wake(waiter->queue);
      ++woken;
    }
  }
  return woken;
}

i64 sys_futex(const SyscallArgs& args) {
  const u64 address = args.a0;
  const u64 operation = args.a1 & 0xffff'ffff & ~(kPrivate | kClockRealtime);
  if (address % sizeof(u32) != 0) {
    return -kEINVAL;
  }
  switch (operation) {
    case kWait:
    case kWaitBitset: {
      if (operation == kWaitBitset && static_cast<u32>(args.a5) != kAnyBit) {
        return -kEINVAL;
      }
      u64 deadline_ns = kNoDeadline;
      if (args.a3 != 0) {
        Timespec timeout;
        if (!arch::copy_from_user(&timeout, Gva{args.a3}, sizeof(timeout))) {
          return -kEFAULT;
        }
        if (!timeout.valid()) {
          return -kEINVAL;
        }
        if (operation == kWait) {
          deadline_ns = deadline_in(timeout.ns());
        } else if ((args.a1 & kClockRealtime) != 0) {
          deadline_ns = deadline_of_wall(timeout.ns());
        } else {
          deadline_ns = timeout.ns();
        }
      }
      return wait(address, static_cast<u32>(args.a2), deadline_ns);
    }
    case kWake:
    case kWakeBitset: {
      const auto most = static_cast<i32>(args.a2);
      return static_cast<i64>(futex_wake(*current().space, address, most < 1 ? 1 : static_cast<u64>(most)));
    }
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
