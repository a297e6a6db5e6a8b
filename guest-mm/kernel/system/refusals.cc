#include "guest-mm/kernel/system/refusals.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/process/thread.h"
#include "guest-mm/kernel/syscall_names.h"

namespace nopte::guest {

namespace {

struct Refusal {
  const char* what;  // null: the call itself
  u64 call;
  u64 count;
  u64 arguments[6];  // of the first use
  char program[sizeof(Thread::comm)];
};

constexpr u64 kMost = 64;
Refusal g_refusals[kMost];
u64 g_known = 0;
u64 g_others = 0;  // for which there was no room

void note(const SyscallArgs& args, const char* what) {
  const u64 call = args.registers.orig_rax;
  Refusal* const end = g_refusals + g_known;
  Refusal* const found = std::find_if(
      g_refusals, end, [&](const Refusal& refusal) { return refusal.what == what && refusal.call == call; });
  if (found != end) {
    ++found->count;
    return;
  }
  if (g_known == kMost) {
    ++g_others;
    return;
  }
  *end = {.what = what,
          .call = call,
          .count = 1,
          .arguments = {args.a0, args.a1, args.a2, args.a3, args.a4, args.a5},
          .program = {}};
  std::memcpy(end->program, current().comm, sizeof(end->program));
  ++g_known;
}

}  // namespace

i64 not_built(const SyscallArgs& args, const char* what, i64 error) {
  note(args, what);
  return error;
}

i64 no_such_call(const SyscallArgs& args) {
  note(args, nullptr);
  return -kENOSYS;
}

void report_refusals() {
  std::sort(g_refusals, g_refusals + g_known,
            [](const Refusal& one, const Refusal& other) { return one.call < other.call; });
  for (u64 i = 0; i < g_known; ++i) {
    const Refusal& one = g_refusals[i];
    const std::string_view name = one.call < kMostCalls ? syscall_name(one.call) : "no known number";
    const u64* const a = one.arguments;
    const auto tell = [&](const auto&... begin) {
      log_line(begin..., ": ", one.count, ", first by ", one.program, " (", Hex{a[0]}, ", ", Hex{a[1]}, ", ",
               Hex{a[2]}, ", ", Hex{a[3]}, ", ", Hex{a[4]}, ", ", Hex{a[5]}, ")");
    };
    if (one.what == nullptr) {
      tell("unimplemented system call ", one.call, " (", name, ")");
    } else {
      tell("not built: ", name, " of ", one.what);
    }
  }
  if (g_others != 0) {
    log_line("other system calls in vain: ", g_others);
  }
}

}  // namespace nopte::guest
