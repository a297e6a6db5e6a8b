#include "guest-mm/kernel/futex/futex.h"

#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/futex/futex_locks.h"
#include "guest-mm/kernel/futex/futex_words.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

// uapi/linux/futex.h
constexpr u64 kWait = 0, kWake = 1, kRequeue = 3, kCompareRequeue = 4, kWakeOperation = 5, kLock = 6,
              kUnlock = 7, kTryLock = 8, kWaitBitset = 9, kWakeBitset = 10, kWaitRequeueLock = 11,
              kCompareRequeueLock = 12, kLock2 = 13;
constexpr u64 kPrivateFlag = 128, kWallClockFlag = 256;

}  // namespace

Result<FutexKey> futex_key_of(u64 address, FutexScope scope) {
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

i64 load_futex_word(u64 address, u32& word) {
  const Result<void> read = arch::copy_from_user(&word, Gva{address}, sizeof(word));
  return read ? 0 : to_errno(read.error());
}

i64 store_futex_word(u64 address, u32 word) {
  const Result<void> written = arch::copy_to_user(Gva{address}, &word, sizeof(word));
  return written ? 0 : to_errno(written.error());
}

namespace {

i64 go_on_waiting(const Restart& restart);

}  // namespace

i64 wait_for_futex(const FutexWait& request) {
  if (request.bits == 0) {
    return -kEINVAL;
  }
  Result<FutexKey> key = futex_key_of(request.address, request.scope);
  if (!key) {
    return to_errno(key.error());
  }
  u32 value = 0;
  if (const i64 error = load_futex_word(request.address, value); error != 0) {
    return error;
  }
  if (value != request.expected) {
    return -kEAGAIN;
  }
  FutexWaiter waiter(std::move(*key), request.bits);
  const FutexClockWatch set(request.deadline);
  while (!waiter.woken) {
    const WakeReason reason = block_on(waiter.queue, request.deadline.at());
    if (waiter.woken || reason == WakeReason::kWoken) {
      continue;
    }
    if (reason == WakeReason::kTimeout) {
      return -kETIMEDOUT;
    }
    if (request.deadline.ns == kNoDeadline) {
      return -kERESTARTSYS;
    }
    current().restart = {.go_on = go_on_waiting,
                         .deadline_ns = request.deadline.ns,
                         .address = request.address,
                         .value = request.expected,
                         .bits = request.bits,
                         .is_private = request.scope == FutexScope::kPrivate,
                         .by_wall = request.deadline.by_wall};
    return -kERESTART_RESTARTBLOCK;
  }
  return 0;
}

namespace {

i64 go_on_waiting(const Restart& restart) {
  return wait_for_futex({.address = restart.address,
                         .scope = restart.is_private ? FutexScope::kPrivate : FutexScope::kShared,
                         .expected = restart.value,
                         .bits = restart.bits,
                         .deadline = {.ns = restart.deadline_ns, .by_wall = restart.by_wall}});
}

// FUTEX_WAIT's timeout is a time to wait.
i64 load_relative_deadline(u64 address, FutexDeadline& deadline) {
  if (address == 0) {
    return 0;
  }
  Timespec timeout;
  if (!arch::copy_from_user(&timeout, Gva{address}, sizeof(timeout))) {
    return -kEFAULT;
  }
  deadline.ns = timeout.valid() ? deadline_in(timeout.ns()) : 0;
  return timeout.valid() ? 0 : -kEINVAL;
}

}  // namespace

i64 load_futex_deadline(u64 address, FutexClock clock, FutexDeadline& deadline) {
  if (address == 0) {
    return 0;
  }
  Timespec time;
  if (!arch::copy_from_user(&time, Gva{address}, sizeof(time))) {
    return -kEFAULT;
  }
  if (!time.valid()) {
    return -kEINVAL;
  }
  deadline = {.ns = time.ns(), .by_wall = clock == FutexClock::kWall};
  return 0;
}

i64 wake_futex_word(u64 address, FutexScope scope, i32 most, u32 bits) {
  if (bits == 0) {
    return -kEINVAL;
  }
  const Result<FutexKey> key = futex_key_of(address, scope);
  if (!key) {
    return to_errno(key.error());
  }
  return futex_wake(*key, most < 1 ? 1 : static_cast<u64>(most), bits);
}

i64 requeue_futex(const FutexRequeue& request) {
  if (request.wake_most < 0 || request.move_most < 0) {
    return -kEINVAL;
  }
  const Result<FutexKey> from = futex_key_of(request.from, request.from_scope);
  if (!from) {
    return to_errno(from.error());
  }
  const Result<FutexKey> to = futex_key_of(request.to, request.to_scope);
  if (!to) {
    return to_errno(to.error());
  }
  u32 value = request.expected;
  if (const i64 error = request.compares ? load_futex_word(request.from, value) : 0; error != 0) {
    return error;
  }
  if (value != request.expected) {
    return -kEAGAIN;
  }
  return futex_requeue(*from, static_cast<u64>(request.wake_most), static_cast<u64>(request.move_most), *to);
}

namespace {

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
  const Result<FutexKey> first = futex_key_of(args.a0, scope);
  if (!first) {
    return to_errno(first.error());
  }
  const Result<FutexKey> second = futex_key_of(args.a4, scope);
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
  const i64 woken = futex_wake(*first, at_least_one(args.a2), kAnyFutexBit);
  if (woken < 0 || !operation.holds(before)) {
    return woken;
  }
  const i64 more = futex_wake(*second, at_least_one(args.a3), kAnyFutexBit);
  return more < 0 ? more : woken + more;
}

}  // namespace

void futex_wake_at_exit(u64 address) { (void)wake_futex_word(address, FutexScope::kShared, 1, kAnyFutexBit); }

i64 sys_futex(const SyscallArgs& args) {
  const u64 operation = args.a1 & 0xffff'ffff & ~(kPrivateFlag | kWallClockFlag);
  const FutexScope scope = (args.a1 & kPrivateFlag) != 0 ? FutexScope::kPrivate : FutexScope::kShared;
  const bool wall_clock = (args.a1 & kWallClockFlag) != 0;
  const auto value = static_cast<u32>(args.a2);
  const auto third = static_cast<u32>(args.a5);
  FutexDeadline deadline;
  const bool relative = operation == kWait;
  if (relative || operation == kWaitBitset || operation == kLock || operation == kLock2 ||
      operation == kWaitRequeueLock) {
    const FutexClock clock = wall_clock || operation == kLock ? FutexClock::kWall : FutexClock::kMonotonic;
    const i64 error =
        relative ? load_relative_deadline(args.a3, deadline) : load_futex_deadline(args.a3, clock, deadline);
    if (error != 0) {
      return error;
    }
  }
  if (wall_clock && operation != kWaitBitset && operation != kWaitRequeueLock && operation != kLock2) {
    return -kENOSYS;
  }
  switch (operation) {
    case kWait:
    case kWaitBitset:
      return wait_for_futex({.address = args.a0,
                             .scope = scope,
                             .expected = value,
                             .bits = relative ? kAnyFutexBit : third,
                             .deadline = deadline});
    case kWake:
    case kWakeBitset:
      return wake_futex_word(args.a0, scope, static_cast<i32>(value),
                             operation == kWake ? kAnyFutexBit : third);
    case kWakeOperation:
      return wake_operation(args, scope);
    case kRequeue:
    case kCompareRequeue:
      return requeue_futex({.from = args.a0,
                            .from_scope = scope,
                            .to = args.a4,
                            .to_scope = scope,
                            .wake_most = static_cast<i32>(args.a2),
                            .move_most = static_cast<i32>(args.a3),
                            .compares = operation == kCompareRequeue,
                            .expected = operation == kCompareRequeue ? third : 0});
    case kLock:
    case kLock2:
      return lock_futex(args.a0, scope, deadline);
    case kTryLock:
      return try_lock_futex(args.a0, scope);
    case kUnlock:
      return unlock_futex(args.a0, scope);
    case kWaitRequeueLock:
      return wait_to_lock_futex(
          {.address = args.a0, .scope = scope, .expected = value, .bits = third, .deadline = deadline},
          args.a4);
    case kCompareRequeueLock:
      return requeue_to_lock({.from = args.a0,
                              .from_scope = scope,
                              .to = args.a4,
                              .to_scope = scope,
                              .wake_most = static_cast<i32>(args.a2),
                              .move_most = static_cast<i32>(args.a3),
                              .compares = true,
                              .expected = third});
    default:
      return -kENOSYS;
  }
}

}  // namespace nopte::guest
