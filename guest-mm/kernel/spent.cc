#include "guest-mm/kernel/spent.h"

#include "guest-mm/kernel/process.h"

namespace nopte::guest {

Spent spent_by(const Thread& thread) {
  const u64 cpu_ns = cpu_time_ns(thread);
  const u64 in_call_ns = thread.call_began_ns != Thread::kOutsideCalls ? cpu_ns - thread.call_began_ns : 0;
  return {.cpu_ns = cpu_ns,
          .system_ns = thread.system_ns + in_call_ns,
          .switches = thread.switches,
          .preempted = thread.preempted};
}

Spent spent_by(const Process& process) {
  Spent sum = process.of_ended;
  process.for_each_thread([&](const Thread& thread) { sum += spent_by(thread); });
  return sum;
}

}  // namespace nopte::guest
