// Resource limits (setrlimit(2)): what a process may have at most. Processes share one set of them until one
// of them changes a limit.
#pragma once

#include <array>

#include "guest-mm/core/heap.h"
#include "guest-mm/core/space_limits.h"

namespace nopte::guest {

struct Process;

// uapi/asm-generic/resource.h.
enum class Resource : u32 {
  kProcessorSeconds = 0,
  kFileBytes = 1,
  kDataBytes = 2,
  kStackBytes = 3,
  kCoreBytes = 4,
  kResidentBytes = 5,
  kProcesses = 6,
  kOpenFiles = 7,
  kLockedBytes = 8,
  kSpaceBytes = 9,
  kLocks = 10,
  kPendingSignals = 11,
  kQueueBytes = 12,
  kNice = 13,
  kRealTimePriority = 14,
  kRealTimeMicroseconds = 15,
};
inline constexpr u32 kResources = 16;

struct Limit {
  u64 now;   // what holds
  u64 most;  // what `now` may be raised to
};

class Limits : public HeapAllocated {
 public:
  [[nodiscard]] const Limit& of(Resource resource) const { return limits_[static_cast<u32>(resource)]; }
  [[nodiscard]] SpaceLimits of_space() const;
  void retain() { ++references_; }
  void release() {
    if (--references_ == 0) {
      delete this;
    }
  }

  // What the first process has: Linux's (include/asm-generic/resource.h).
  static Limits& initial();

 private:
  friend i64 set_limit(Process& process, Resource resource, const Limit& limit);
  constexpr Limits();
  constexpr explicit Limits(const std::array<Limit, kResources>& limits) : limits_(limits) {}

  u32 references_ = 1;
  std::array<Limit, kResources> limits_;
};

// What is told of it: RLIMIT_CPU and RLIMIT_RTTIME rise by a second with each SIGXCPU.
Limit limit_of(const Process& process, Resource resource);

// Changes a limit of a process, and lets its space and descriptors know. Errors: -EINVAL (now above most),
// -EPERM (more open files than there can be), -ENOMEM; nothing has changed then.
i64 set_limit(Process& process, Resource resource, const Limit& limit);

}  // namespace nopte::guest
