#include "guest-mm/kernel/files/locks/leases.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/locks/file_locks.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/system/system_settings.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::files {

Leases::~Leases() {
  while (first_ != nullptr) {
    erase(first_);
  }
}

void Leases::erase(Lease*& at) { destroy(std::exchange(at, at->next)); }

bool Leases::conflicts(const Lease& lease, bool writes) {
  return lease.type != LockType::kNone && (writes || lease.type == LockType::kWrite);
}

void Leases::end_late_ones() {
  const u64 now = platform_ops().now_ns();
  for (Lease** at = &first_; *at != nullptr;) {
    Lease& lease = **at;
    if (lease.target == lease.type || lease.deadline_ns == 0 || now < lease.deadline_ns) {
      at = &lease.next;
      continue;
    }
    lease.type = lease.target;
    wake(changed_);
    if (lease.type == LockType::kNone) {
      erase(*at);
    } else {
      at = &lease.next;
    }
  }
}

i64 Leases::set(File& file, TmpfsFile& leased, i32 descriptor, LockType type) {
  end_late_ones();
  Lease** own = &first_;
  while (*own != nullptr && (*own)->file != &file) {
    own = &(*own)->next;
  }
  if (type == LockType::kNone) {
    if (*own == nullptr) {
      return -kEAGAIN;
    }
    erase(*own);
    wake(changed_);
    // As Linux: whoever was to hear of it is forgotten.
    file.owner->id = 0;
    file.owner->signal = 0;
    return 0;
  }
  if (type == LockType::kRead ? leased.writers() != 0 : leased.openings() != 1) {
    return -kEAGAIN;
  }
  for (const Lease* other = first_; other != nullptr; other = other->next) {
    const bool going = other->target != other->type && other->target == LockType::kNone;
    if (other->file != &file && (type == LockType::kWrite || going)) {
      return -kEAGAIN;
    }
  }
  if (*own == nullptr) {
    auto* const lease = make<Lease>();
    if (lease == nullptr || own_if_nobody_does(file) != 0) {
      destroy(lease);
      return -kENOMEM;
    }
    *lease = {.file = &file,
              .descriptor = descriptor,
              .pid = current_process().pid,
              .type = type,
              .target = type,
              .next = first_};
    first_ = lease;
    return 0;
  }
  Lease& lease = **own;
  const bool must_go = lease.target != lease.type && lease.target == LockType::kNone;
  lease.type = type;
  lease.target = must_go ? LockType::kNone : type;
  wake(changed_);
  return 0;
}

LockType Leases::of(const File& file) {
  end_late_ones();
  for (const Lease* lease = first_; lease != nullptr; lease = lease->next) {
    if (lease->file == &file) {
      return lease->target;
    }
  }
  return LockType::kNone;
}

i64 Leases::make_way(u32 open_flags) {
  constexpr u64 kNsPerSecond = 1'000'000'000;
  const bool writes = (open_flags & kOpenAccessMask) != kOpenReadOnly;
  end_late_ones();
  const u64 seconds = static_cast<u64>(SystemSettings::lease_break_time);
  const u64 deadline = seconds != 0 ? platform_ops().now_ns() + seconds * kNsPerSecond : 0;
  for (Lease* lease = first_; lease != nullptr; lease = lease->next) {
    const LockType target = writes ? LockType::kNone : LockType::kRead;
    if (!conflicts(*lease, writes) || lease->target == target || (!writes && lease->target != lease->type)) {
      continue;
    }
    lease->target = target;
    lease->deadline_ns = deadline;
    signal_owner(*lease->file->owner, lease->descriptor, kIoMessage);
  }
  for (;;) {
    const Lease* in_the_way = first_;
    while (in_the_way != nullptr && !conflicts(*in_the_way, writes)) {
      in_the_way = in_the_way->next;
    }
    if (in_the_way == nullptr) {
      return 0;
    }
    if ((open_flags & kOpenNonBlock) != 0) {
      return -kEAGAIN;
    }
    const u64 until = in_the_way->deadline_ns != 0 ? in_the_way->deadline_ns : kNoDeadline;
    if (block_on(changed_, until) == WakeReason::kSignal) {
      return -kERESTARTSYS;
    }
    end_late_ones();
  }
}

void Leases::for_each(FunctionRef<void(LockType type, i32 pid, bool breaking)> visit) const {
  for (const Lease* lease = first_; lease != nullptr; lease = lease->next) {
    visit(lease->type, lease->pid, lease->target != lease->type);
  }
}

void Leases::drop(const void* file) {
  for (Lease** at = &first_; *at != nullptr;) {
    if ((*at)->file == file) {
      erase(*at);
      wake(changed_);
    } else {
      at = &(*at)->next;
    }
  }
}

}  // namespace nopte::guest::files
