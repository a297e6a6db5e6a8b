// struct rusage (Linux, uapi/linux/resource.h).
//
// Whoever owns paging handles faults, so that nobody counts pages as they come: they are counted when
// somebody asks, when a space is left for another program's, and when a process ends. As many faults are told
// as there were pages at the most, in each program's space.
#pragma once

#include "guest-mm/kernel/time/spent.h"
#include "pvops/base/addr.h"

namespace nopte::guest {

struct Timeval {
  i64 seconds = 0;
  i64 microseconds = 0;
};
constexpr Timeval to_timeval(u64 ns) {
  return {static_cast<i64>(ns / 1'000'000'000), static_cast<i64>(ns % 1'000'000'000 / 1000)};
}

struct Rusage {
  Timeval user;
  Timeval system;
  i64 most_resident_kib = 0;
  i64 unused[3] = {};
  i64 minor_faults = 0;
  i64 major_faults = 0;  // no page comes from a disk, and none goes there
  i64 not_kept[6] = {};
  i64 voluntary_switches = 0;
  i64 involuntary_switches = 0;
};
static_assert(sizeof(Rusage) == 144);

constexpr Rusage rusage_of(const Spent& spent, u64 most_resident, u64 faults) {
  return {.user = to_timeval(spent.user_ns()),
          .system = to_timeval(spent.system_ns),
          .most_resident_kib = static_cast<i64>(pages_to_bytes(most_resident) >> 10),
          .minor_faults = static_cast<i64>(faults),
          .voluntary_switches = static_cast<i64>(spent.voluntary()),
          .involuntary_switches = static_cast<i64>(spent.preempted)};
}

class AddressSpace;
struct Process;

// Counts what of the space is in memory, for the process that runs in it. Where no more is promised than
// kCountedFrom pages they count as if all were there: to ask whoever owns paging at each exit would cost more
// than it tells.
inline constexpr u64 kCountedFrom = 1024;
void note_resident(Process& process, const AddressSpace& space);
// The same where the process leaves the space. What it has of its maker is as much as its maker has, who is
// counted when somebody asks.
void note_left(Process& process, const AddressSpace& space);
// Counts them now.
u64 note_faults(Process& process, const AddressSpace& space);
// As far as they were counted.
u64 faults_known(const Process& process);
// The most of a child that was waited for, or of all of them; `as_self`: as much as `self` has.
u64 most_of_children(Process& self, u64 counted, bool as_self);

}  // namespace nopte::guest
