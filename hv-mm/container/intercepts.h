// The intercept table (intercepts.def) as the hypervisor uses it: the bits to set, and what each exit comes
// to. An exit that has no row is none that was asked for.
#pragma once

#include <array>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::hv {

// The words of the control block, in the order of their exit codes.
enum class InterceptWord : u8 { kCrRead, kCrWrite, kDrRead, kDrWrite, kExceptions, kMisc1, kMisc2, kMisc3 };

enum class InterceptScope : u8 {
  kAlways,
  // The modes whose tables are not the guest's alone. Reads of CR0 are among them because some TCG versions
  // honour only that bit of the read mask.
  kPaging,
  kPageFaults,  // the hypervisor takes #PF first
};

enum class ExitAnswer : u8 {
  kNone,        // not asked for: the guest ends
  kHot,         // the run loop knows it
  kUndefined,   // #UD, as on a processor without it
  kProtection,  // #GP(0)
  kReflected,   // the exception, as it came
  kDebugTrap,   // #DB behind the instruction
  kNothing,     // at CPL 0 it has no effect and goes on behind it, else #GP(0)
  kDecoded,     // by the instruction at rip
  kHostEvent,   // the hypervisor takes it
  // What has a function of its own in exits.cc.
  kCpuid,
  kMsr,
  kPort,
  kHalt,
  kXsetbv,
  kMachineCheck,
  kShutdown,
};

struct Intercept {
  InterceptWord word;
  u8 bit;
  std::string_view name;
  InterceptScope scope;
  ExitAnswer answer;

  // Source: APM vol. 2, appendix C.
  [[nodiscard]] constexpr u32 exit_code() const {
    constexpr u32 kFirst[] = {0x00, 0x10, 0x20, 0x30, 0x40, 0x60, 0x80, 0xa0};
    return kFirst[static_cast<u8>(word)] + bit;
  }
};

inline constexpr auto kIntercepts = std::to_array<Intercept>({
#define NOPTE_INTERCEPT(word, bit, name, scope, answer, kernel, user, probe) \
  {InterceptWord::word, bit, #name, InterceptScope::scope, ExitAnswer::answer},
#include "hv-mm/container/intercepts.def"
});

// The bits of a word whose rows have this scope.
constexpr u32 intercept_mask(InterceptWord word, InterceptScope scope) {
  u32 mask = 0;
  for (const Intercept& row : kIntercepts) {
    if (row.word == word && row.scope == scope) mask |= u32{1} << row.bit;
  }
  return mask;
}

// Exit codes below this are a word's and a bit's.
inline constexpr u32 kInterceptExits = 0xb0;

inline constexpr auto kExitAnswers = [] {
  std::array<ExitAnswer, kInterceptExits> answers{};
  for (const Intercept& row : kIntercepts) answers[row.exit_code()] = row.answer;
  return answers;
}();

constexpr ExitAnswer exit_answer(u64 code) {
  return code < kInterceptExits ? kExitAnswers[code] : ExitAnswer::kNone;
}

}  // namespace nopte::hv
