#include "guest-mm/kernel/rights/limits.h"

#include <new>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/time/posix_timers.h"
#include "guest-mm/kernel/time/real_time_limit.h"

namespace nopte::guest {

namespace {

constexpr std::array<Limit, kResources> kInitial = [] {
  std::array<Limit, kResources> limits{};
  limits.fill({kUnlimited, kUnlimited});
  const auto set = [&](Resource resource, u64 now, u64 most) {
    limits[static_cast<u32>(resource)] = {now, most};
  };
  set(Resource::kStackBytes, 8 << 20, kUnlimited);
  set(Resource::kCoreBytes, 0, kUnlimited);
  set(Resource::kOpenFiles, 1024, 4096);
  set(Resource::kLockedBytes, 8 << 20, 8 << 20);
  set(Resource::kPendingSignals, 4096, 4096);
  set(Resource::kQueueBytes, 819'200, 819'200);
  set(Resource::kNice, 0, 0);
  set(Resource::kRealTimePriority, 0, 0);
  return limits;
}();

}  // namespace

constexpr Limits::Limits() : limits_(kInitial) {}

Limits& Limits::initial() {
  static constinit Limits limits;
  return limits;
}

SpaceLimits Limits::of_space() const {
  return {.bytes = of(Resource::kSpaceBytes).now,
          .data_bytes = of(Resource::kDataBytes).now,
          .stack_bytes = of(Resource::kStackBytes).now};
}

Limit limit_of(const Process& process, Resource resource) {
  Limit limit = process.limits->of(resource);
  if (resource == Resource::kProcessorSeconds) limit.now += risen_cpu_limit(process);
  if (resource == Resource::kRealTimeMicroseconds) limit.now += risen_real_time_limit(process);
  return limit;
}

i64 set_limit(Process& process, Resource resource, const Limit& limit) {
  if (limit.now > limit.most) {
    return -kEINVAL;
  }
  if (resource == Resource::kOpenFiles && limit.most > files::FileTable::kMost) {
    return -kEPERM;
  }
  const bool cpu = resource == Resource::kProcessorSeconds;
  const bool in_real_time = resource == Resource::kRealTimeMicroseconds;
  Limits* limits = process.limits;
  if (limit.most > limits->of(resource).most && !capable(Capability::kSysResource)) {
    return -kEPERM;
  }
  if (!process.ended() && ((cpu && !prepare_cpu_limit(process, limit.now)) ||
                           (in_real_time && !prepare_real_time_limit(process, limit.now)))) {
    return -kENOMEM;
  }
  if (limits->references_ > 1) {
    void* const memory = heap_alloc(sizeof(Limits));
    if (memory == nullptr) {
      return -kENOMEM;
    }
    --limits->references_;
    limits = process.limits = ::new (memory) Limits(limits->limits_);
  }
  limits->limits_[static_cast<u32>(resource)] = limit;
  const Thread& leader = process.leader();
  // Until it has a space of its own, the memory is its parent's.
  if (leader.space != nullptr && leader.vfork_parent == nullptr) {
    leader.space->set_limits(limits->of_space());
  }
  if (leader.files != nullptr && resource == Resource::kOpenFiles) {
    leader.files->table.set_limit(static_cast<u32>(limit.now));
  }
  if (cpu) follow_cpu_limit(process);
  if (in_real_time) follow_real_time_limit(process);
  return 0;
}

}  // namespace nopte::guest
