// What threads and processes used, as getrusage(2) and its kin tell it.
//
// Processor time is exact in sum. What of it is system time is counted from the time on when somebody asks
// for it first: until then system calls pay nothing for it (split_processor_time()). It is that of system
// calls; faults, signals and interrupts count as user time.
#pragma once

#include "guest-mm/kernel/process/thread.h"

namespace nopte::guest {

struct Process;

struct Spent {
  u64 cpu_ns = 0;
  u64 system_ns = 0;  // of it
  u64 switches = 0;   // how often it left the CPU
  u64 preempted = 0;  // of these, without being asleep

  [[nodiscard]] constexpr u64 user_ns() const { return cpu_ns - system_ns; }
  [[nodiscard]] constexpr u64 voluntary() const { return switches - preempted; }
  Spent& operator+=(const Spent& other) {
    cpu_ns += other.cpu_ns;
    system_ns += other.system_ns;
    switches += other.switches;
    preempted += other.preempted;
    return *this;
  }
};

// Precondition: it does not run.
inline Spent spent_when_off(const Thread& thread) {
  const bool in_call = thread.call_began_ns != Thread::kOutsideCalls;
  return {.cpu_ns = thread.cpu_ns,
          .system_ns = thread.system_ns + (in_call ? thread.cpu_ns - thread.call_began_ns : 0),
          .switches = thread.switches,
          .preempted = thread.preempted};
}
Spent spent_by(const Thread& thread);
// Of all its threads, without its children.
Spent spent_by(const Process& process);

// From the next system call on their time is counted.
void split_processor_time();

}  // namespace nopte::guest
