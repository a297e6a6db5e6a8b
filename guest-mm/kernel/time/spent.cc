#include "guest-mm/kernel/time/spent.h"

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

Spent spent_by(const Thread& thread) {
  Spent spent = spent_when_off(thread);
  const u64 now_ns = cpu_time_ns(thread) - thread.cpu_ns;
  spent.cpu_ns += now_ns;
  spent.system_ns += thread.call_began_ns != Thread::kOutsideCalls ? now_ns : 0;
  return spent;
}

Spent spent_by(const Process& process) {
  Spent sum = process.of_ended;
  process.for_each_thread([&](const Thread& thread) { sum += spent_by(thread); });
  return sum;
}

}  // namespace nopte::guest
