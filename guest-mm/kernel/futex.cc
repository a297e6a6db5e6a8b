#include "guest-mm/kernel/futex.h"

#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/futex_waiters.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time.h"

namespace nopte::guest {

namespace {

// uapi/linux/futex.h
constexpr u64 kWait = 0, kWake = 1, kRequeue = 3, kCompareRequeue = 4, kWakeOperation = 5, kWaitBitset = 9,
              kWakeBitset = 10;
constexpr u64 kPrivateFlag = 128, kWallClockFlag = 256;
constexpr u32 kAnyBit = 0xffff'ffff;

// The word as the running process names it. Errors: kInvalid (alignment), kBadAddress, kPastEnd, kNoMemory.
Result<FutexKey> key_of(u64 address, FutexScope scope) {
  if (address % sizeof(u32) != 0) {
    return Fail(Status::kInvalid);
  }
  const AddressSpace& space = *current().space;
  if (scope == FutexScope::kPrivate) {
    if (address >= kUserRange.end.value()) {
      return Fail(Status::kBadAddress);
    }
    return FutexKey{.scope = scope, .space = &space, .at = address};
  }
  // A word that cannot be read is none; reading may also make the stack grow to it.
  u32 value = 0;
  NOPTE_TRY(arch::copy_from_user(&value, Gva{address}, sizeof(value)));
  const RegionNode* const region = space.tree().find_node(Gva{address});
  if (region == nullptr) {
    return Fail(Status::kBadAddress);
  }
  const RegionSpec& spec = region->spec;
  // A private mapping that cannot be written shows the object's own pages.
  if (spec.object != ObjectId::kNone && (spec.sharing == Sharing::kShared || !spec.perm.write())) {
    return FutexKey{.object = Ref<MemoryObject>(static_cast<MemoryObject*>(region->object_list)),
                    .at = pages_to_bytes(spec.object_page) + (Gva{address} - spec.range.begin)};
  }
  if (!spec.perm.write()) {
    return Fail(Status::kBadAddress);  // nobody can change it
  }
  return FutexKey{.space = &space, .at = address};
}

struct FutexWait {
  u64 address = 0;
  FutexScope scope = FutexScope::kShared;
  u32 expected = 0;
  u32 bits = kAnyBit;
  u64 deadline_ns = kNoDeadline;
  bool by_wall = false;  // the deadline is a Unix time
};

i64 go_on_waiting(const Restart& restart);

i64 wait(const FutexWait& request) {
  Result<FutexKey> key = key_of(request.address, request.scope);
  if (!key) {
    return to_errno(key.error());
  }
  u32 value = 0;
  if (const Result<void> read = arch::copy_from_user(&value, Gva{request.address}, sizeof(value)); !read) {
    return to_errno(read.error());
  }
  if (value != request.expected) {
    return -kEAGAIN;
  }
  FutexWaiter waiter(std::move(*key), request.bits);
  Waiter set;
  if (request.by_wall) g_clock_was_set.add(set);
  while (!waiter.woken) {
    const WakeReason reason =
        block_on(waiter.queue, request.by_wall ? deadline_of_wall(request.deadline_ns) : request.deadline_ns);
    if (waiter.woken || reason == WakeReason::kWoken) {
      continue;
    }
    if (reason == WakeReason::kTimeout) {
      return -kETIMEDOUT;
    }
    if (request.deadline_ns == kNoDeadline) {
      return -kERESTARTSYS;
    }
    current().restart = {.go_on = go_on_waiting,
                         .deadline_ns = request.deadline_ns,
                         .address = request.address,
                         .value = request.expected,
                         .bits = request.bits,
                         .is_private = request.scope == FutexScope::kPrivate,
                         .by_wall = request.by_wall};
    return -kERESTART_RESTARTBLOCK;
  }
  return 0;
}

i64 go_on_waiting(const Restart& restart) {
  return wait({.address = restart.address,
               .scope = restart.is_private ? FutexScope::kPrivate : FutexScope::kShared,
               .expected = restart.value,
               .bits = restart.bits,
               .deadline_ns = restart.deadline_ns,
               .by_wall = restart.by_wall});
}

// The deadline that the timeout of a wait means; null: none. Errors: -EFAULT, -EINVAL.
i64 load_deadline(u64 address, u64 operation, u64& deadline_ns) {
  if (address == 0) {
    return 0;
  }
  Timespec timeout;
  if (!arch::copy_from_user(&timeout, Gva{address}, sizeof(timeout))) {
    return -kEFAULT;
  }
  if (!timeout.valid()) {
    return -kEINVAL;
  }
  deadline_ns = operation == kWait ? deadline_in(timeout.ns()) : timeout.ns();
  return 0;
}

i64 wake_word(u64 address, FutexScope scope, i32 most, u32 bits) {
  if (bits == 0) {
    return -kEINVAL;
  }
  const Result<FutexKey> key = key_of(address, scope);
  if (!key) {
    return to_errno(key.error());
  }
  return static_cast<i64>(futex_wake(*key, most < 1 ? 1 : static_cast<u64>(most), bits));
}

// `expected`: null when the word's value does not matter.
i64 requeue_word(const SyscallArgs& args, FutexScope scope, const u32* expected) {
  const auto wake_most = static_cast<i32>(args.a2);
  const auto move_most = static_cast<i32>(args.a3);
  if (wake_most < 0 || move_most < 0) {
    return -kEINVAL;
  }
  const Result<FutexKey> from = key_of(args.a0, scope);
  if (!from) {
    return to_errno(from.error());
  }
  const Result<FutexKey> to = key_of(args.a4, scope);
  if (!to) {
    return to_errno(to.error());
  }
  if (expected != nullptr) {
    u32 value = 0;
    if (const Result<void> read = arch::copy_from_user(&value, Gva{args.a0}, sizeof(value)); !read) {
      return to_errno(read.error());
    }
    if (value != *expected) {
      return -kEAGAIN;
    }
  }
  return static_cast<i64>(
      futex_requeue(*from, static_cast<u64>(wake_most), static_cast<u64>(move_most), *to));
}

// What FUTEX_WAKE_OP does to the second word and asks of what it was (futex(2)).
struct WordOperation {
  explicit WordOperation(u32 code)
      : operation(code >> 28 & 7),
        comparison(code >> 24 & 15),
        argument(sign_extended(code >> 12)),
        limit(sign_extended(code)) {
    if ((code >> 31) != 0) {
      argument = static_cast<i32>(u32{1} << (static_cast<u32>(argument) & 31));
    }
  }

  // False: there is no such operation.
  bool apply(u32 before, u32& after) const {
    const auto operand = static_cast<u32>(argument);
    switch (operation) {
      case 0:
        after = operand;
        return true;
      case 1:
        after = before + operand;
        return true;
      case 2:
        after = before | operand;
        return true;
      case 3:
        after = before & ~operand;
        return true;
      case 4:
        after = before ^ operand;
        return true;
      default:
        return false;
    }
  }
  [[nodiscard]] bool comparison_known() const { return comparison <= 5; }
  [[nodiscard]] bool holds(u32 before) const {
    const auto value = static_cast<i32>(before);
    switch (comparison) {
      case 0:
        return value == limit;
      case 1:
        return value != limit;
      case 2:
        return value < limit;
      case 3:
        return value <= limit;
      case 4:
        return value > limit;
      default:
        return value >= limit;
    }
  }

  // The lowest 12 bits.
  static i32 sign_extended(u32 bits) { return static_cast<i32>(bits << 20) >> 20; }

  u32 operation;
  u32 comparison;
  i32 argument;
  i32 limit;
};

i64 wake_operation(const SyscallArgs& args, FutexScope scope) {
  const Result<FutexKey> first = key_of(args.a0, scope);
  if (!first) {
    return to_errno(first.error());
  }
  const Result<FutexKey> second = key_of(args.a4, scope);
  if (!second) {
    return to_errno(second.error());
  }
  const WordOperation operation(static_cast<u32>(args.a5));
  u32 before = 0;
  u32 after = 0;
  if (!arch::copy_from_user(&before, Gva{args.a4}, sizeof(before))) {
    return -kEFAULT;
  }
  if (!operation.apply(before, after)) {
    return -kENOSYS;
  }
  if (!arch::copy_to_user(Gva{args.a4}, &after, sizeof(after))) {
    return -kEFAULT;
  }
  if (!operation.comparison_known()) {
    return -kENOSYS;
  }
  const auto at_least_one = [](u64 most) {
    const auto count = static_cast<i32>(most);
    return count < 1 ? u64{1} : static_cast<u64>(count);
  };
  u64 woken = futex_wake(*first, at_least_one(args.a2), kAnyBit);
  if (operation.holds(before)) {
    woken += futex_wake(*second, at_least_one(args.a3), kAnyBit);
  }
  return static_cast<i64>(woken);
}

}  // namespace

void futex_wake_at_exit(u64 address) { (void)wake_word(address, FutexScope::kShared, 1, kAnyBit); }

i64 sys_futex(const SyscallArgs& args) {
  const u64 operation = args.a1 & 0xffff'ffff & ~(kPrivateFlag | kWallClockFlag);
  const FutexScope scope = (args.a1 & kPrivateFlag) != 0 ? FutexScope::kPrivate : FutexScope::kShared;
  const bool wall_clock = (args.a1 & kWallClockFlag) != 0;
  const auto value = static_cast<u32>(args.a2);
  const auto third = static_cast<u32>(args.a5);
  if (wall_clock && operation != kWaitBitset) {
    return -kENOSYS;
  }
  switch (operation) {
    case kWait:
    case kWaitBitset: {
      FutexWait request{.address = args.a0,
                        .scope = scope,
                        .expected = value,
                        .bits = operation == kWait ? kAnyBit : third,
                        .by_wall = wall_clock};
      if (const i64 error = load_deadline(args.a3, operation, request.deadline_ns); error != 0) {
        return error;
      }
      return request.bits == 0 ? -kEINVAL : wait(request);
    }
    case kWake:
    case kWakeBitset:
      return wake_word(args.a0, scope, static_cast<i32>(value), operation == kWake ? kAnyBit : third);
    case kWakeOperation:
      return wake_operation(args, scope);
    case kRequeue:
      return requeue_word(args, scope, nullptr);
    case kCompareRequeue:
      return requeue_word(args, scope, &third);
    default:
      return -kENOSYS;
  }
}

}  // namespace nopte::guest
