// semget, semop, semtimedop, semctl.
#include <algorithm>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/ipc/sem.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

using namespace ipc;  // NOLINT(google-build-using-namespace): the calls are this folder's
using files::get_user;
using files::put_user;

namespace {

// uapi/linux/sem.h
constexpr i32 kGetPid = 11, kGetValue = 12, kGetAll = 13, kGetGrowing = 14, kGetZero = 15, kSetValue = 16,
              kSetAll = 17, kSemStat = 18, kSemInfo = 19, kSemStatAny = 20;

// semid64_ds
struct SetStatus {
  Permissions permissions;
  i64 operated_at = 0;
  u64 unused_1 = 0;
  i64 changed_at = 0;
  u64 unused_2 = 0;
  u64 semaphores = 0;
  u64 unused[2] = {};
};
static_assert(sizeof(SetStatus) == 104);

// seminfo
struct SetBounds {
  i32 map, sets, semaphores, undos, per_set, operations, undo_entries, undo_bytes, most_value, most_undo;
};

SemaphoreSet* set_of(i32 id) { return static_cast<SemaphoreSet*>(semaphore_sets().with_id(id)); }

i64 create(i32 key, i32 count, u32 flags) {
  if (count == 0) return -kEINVAL;
  if (semaphore_count() + static_cast<u64>(count) > static_cast<u64>(g_sem_limits[1])) return -kENOSPC;
  HeapBuffer storage(static_cast<u64>(count) * sizeof(Semaphore));
  if (!storage) return -kENOMEM;
  Ref<SemaphoreSet> set = files::make_counted<SemaphoreSet>(std::move(storage));
  if (!set) return -kENOMEM;
  set->changed_at = now_seconds();
  return semaphore_sets().add(std::move(set), key, flags, static_cast<u32>(g_sem_limits[3]));
}

i64 tell(i32 id, i32 command, u64 to) {
  const bool by_slot = command != kStat;
  const Found found = find(semaphore_sets(), id, by_slot);
  if (found.object == nullptr) return found.error;
  const auto& set = static_cast<const SemaphoreSet&>(*found.object);
  if (command != kSemStatAny && !permitted(set, kRead)) return -kEACCES;
  const SetStatus status{.permissions = set.permissions,
                         .operated_at = set.operated_at,
                         .changed_at = set.changed_at,
                         .semaphores = set.all().size()};
  if (const i64 error = put_user(to, status); error != 0) return error;
  return by_slot ? set.id() : 0;
}

i64 tell_bounds(i32 command, u64 to) {
  SetBounds bounds{.map = g_sem_limits[1],
                   .sets = g_sem_limits[3],
                   .semaphores = g_sem_limits[1],
                   .undos = g_sem_limits[1],
                   .per_set = g_sem_limits[0],
                   .operations = g_sem_limits[2],
                   .undo_entries = g_sem_limits[2],
                   .undo_bytes = 20,
                   .most_value = kMostValue,
                   .most_undo = kMostValue};
  if (command == kSemInfo) {
    bounds.undo_bytes = static_cast<i32>(semaphore_sets().used());
    bounds.most_undo = static_cast<i32>(semaphore_count());
  }
  const i64 error = put_user(to, bounds);
  return error != 0 ? error : semaphore_sets().last_slot();
}

i64 get_all(const SemaphoreSet& set, u64 to) {
  u64 at = to;
  for (const Semaphore& semaphore : set.all()) {
    if (put_user(at, static_cast<u16>(semaphore.value)) != 0) return -kEFAULT;
    at += sizeof(u16);
  }
  return 0;
}

i64 set_all(SemaphoreSet& set, u64 from) {
  const u64 bytes = set.all().size() * sizeof(u16);
  const HeapBuffer values(bytes);
  if (!values) return -kENOMEM;
  if (!arch::copy_from_user(values.data(), Gva{from}, bytes)) return -kEFAULT;
  const std::span<const u16> all(reinterpret_cast<const u16*>(values.data()), set.all().size());
  if (std::ranges::any_of(all, [](u16 value) { return value > kMostValue; })) return -kERANGE;
  for (u64 number = 0; number < all.size(); ++number) {
    set.all()[number] = {.value = all[number], .last_pid = current_process().pid};
  }
  set.forget_all_undo();
  set.changed_at = now_seconds();
  set.retry();
  return 0;
}

i64 set_value(SemaphoreSet& set, u64 number, i32 value) {
  set.forget_undo(number);
  set.all()[number] = {.value = value, .last_pid = current_process().pid};
  set.changed_at = now_seconds();
  set.retry();
  return 0;
}

// The commands about one semaphore, or about all values. SETVAL looks at its value before anything else.
i64 act_on_values(i32 id, i32 number, i32 command, u64 argument) {
  const auto value = static_cast<i32>(argument);
  if (command == kSetValue && (value < 0 || value > kMostValue)) return -kERANGE;
  SemaphoreSet* const set = set_of(id);
  if (set == nullptr) return -kEINVAL;
  const bool changes = command == kSetAll || command == kSetValue;
  if (command == kSetValue && (number < 0 || static_cast<u64>(number) >= set->all().size())) return -kEINVAL;
  if (!permitted(*set, changes ? kWrite : kRead)) return -kEACCES;
  if (command == kGetAll) return get_all(*set, argument);
  if (command == kSetAll) return set_all(*set, argument);
  if (number < 0 || static_cast<u64>(number) >= set->all().size()) return -kEINVAL;
  const Semaphore& semaphore = set->all()[static_cast<u64>(number)];
  switch (command) {
    case kGetValue:
      return semaphore.value;
    case kGetPid:
      return semaphore.last_pid;
    case kGetGrowing:
      return set->waiting(static_cast<u64>(number), false);
    case kGetZero:
      return set->waiting(static_cast<u64>(number), true);
    default:
      return set_value(*set, static_cast<u64>(number), value);
  }
}

i64 operate(i32 id, std::span<const Operation> operations, u64 deadline_ns) {
  const Ref<SemaphoreSet> set(set_of(id));
  if (!set) return -kEINVAL;
  const auto any = [&](auto which) { return std::ranges::any_of(operations, which); };
  Process& process = current_process();
  Undo* undo = nullptr;
  if (any([](const Operation& one) { return (one.flags & kUndo) != 0; })) {
    undo = set->undo_of(process);
    if (undo == nullptr) return -kENOMEM;
  }
  if (any([&](const Operation& one) { return one.number >= set->all().size(); })) return -kEFBIG;
  const bool alters = any([](const Operation& one) { return one.change != 0; });
  if (!permitted(*set, alters ? kWrite : kRead)) return -kEACCES;
  const SemaphoreSet::Tried tried = set->perform(operations, undo, process.pid);
  if (tried.error == 0) {
    set->operated_at = now_seconds();
    if (alters) set->retry();
    return 0;
  }
  if (tried.error != -kEAGAIN || (operations[tried.blocking].flags & kNoWait) != 0) return tried.error;
  Sleeper sleeper{
      .operations = operations, .undo = undo, .pid = process.pid, .blocking = tried.blocking, .event = {}};
  set->add(sleeper);
  while (!sleeper.done) {
    const WakeReason reason = block_on(sleeper.event, deadline_ns);
    if (sleeper.done || reason == WakeReason::kWoken) continue;
    set->leave(sleeper);
    return reason == WakeReason::kTimeout ? -kEAGAIN : -kEINTR;
  }
  return sleeper.result;
}

i64 operate_until(i32 id, u64 from, u64 count, const Timespec* timeout) {
  constexpr u64 kFew = 16;
  if (static_cast<u32>(count) > static_cast<u32>(g_sem_limits[2])) return -kE2BIG;
  if (static_cast<u32>(count) < 1) return -kEINVAL;
  count = static_cast<u32>(count);
  Operation few[kFew];
  HeapBuffer many(count > kFew ? count * sizeof(Operation) : 0);
  if (count > kFew && !many) return -kENOMEM;
  auto* const operations = count > kFew ? reinterpret_cast<Operation*>(many.data()) : few;
  if (!arch::copy_from_user(operations, Gva{from}, count * sizeof(Operation))) return -kEFAULT;
  if (id < 0) return -kEINVAL;
  u64 deadline_ns = kNoDeadline;
  if (timeout != nullptr) {
    if (!timeout->valid()) return -kEINVAL;
    deadline_ns = deadline_in(timeout->ns());
  }
  return operate(id, {operations, count}, deadline_ns);
}

}  // namespace

i64 sys_semget(const SyscallArgs& args) {
  const auto key = static_cast<i32>(args.a0);
  const auto count = static_cast<i32>(args.a1);
  const auto flags = static_cast<u32>(args.a2);
  if (count < 0 || count > g_sem_limits[0]) return -kEINVAL;
  return get(
      semaphore_sets(), key, flags,
      [&](Object& there) -> i64 {
        return static_cast<SemaphoreSet&>(there).all().size() < static_cast<u64>(count) ? -kEINVAL : 0;
      },
      [&] { return create(key, count, flags); });
}

i64 sys_semop(const SyscallArgs& args) {
  return operate_until(static_cast<i32>(args.a0), args.a1, args.a2, nullptr);
}

i64 sys_semtimedop(const SyscallArgs& args) {
  if (args.a3 == 0) return sys_semop(args);
  Timespec timeout;
  if (const i64 error = get_user(timeout, args.a3); error != 0) return error;
  return operate_until(static_cast<i32>(args.a0), args.a1, args.a2, &timeout);
}

i64 sys_semctl(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const auto command = static_cast<i32>(args.a2);
  if (id < 0) return -kEINVAL;
  SetStatus wanted;
  switch (command) {
    case kInfo:
    case kSemInfo:
      return tell_bounds(command, args.a3);
    case kStat:
    case kSemStat:
    case kSemStatAny:
      return tell(id, command, args.a3);
    case kGetAll:
    case kGetValue:
    case kGetPid:
    case kGetGrowing:
    case kGetZero:
    case kSetAll:
    case kSetValue:
      return act_on_values(id, static_cast<i32>(args.a1), command, args.a3);
    case kSet:
      if (const i64 error = get_user(wanted, args.a3); error != 0) return error;
      [[fallthrough]];
    case kRemove: {
      SemaphoreSet* const set = set_of(id);
      if (set == nullptr) return -kEINVAL;
      if (!may_change(*set)) return -kEPERM;
      if (command == kRemove) {
        set->remove();
        return 0;
      }
      if (const i64 error = set_permissions(*set, wanted.permissions); error != 0) return error;
      set->changed_at = now_seconds();
      return 0;
    }
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
