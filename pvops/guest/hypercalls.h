// The guest's stubs, made from the hypercall table: pv::call(args_struct) issues the call, and goes on with
// it as long as the hypervisor answers kAgain (an exact prefix happened), letting what is pending in first.
#pragma once

#include "pvops/guest/arch/x86_64/vmmcall.h"

namespace nopte::pv {
namespace detail {

template <class Args>
struct CallOf;
#define NOPTE_ARG(type, name, meaning) +1
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) \
  template <>                                                        \
  struct CallOf<abi::name##_args> {                                  \
    static constexpr abi::Call kCall = abi::Call::name;              \
    static constexpr int kArguments = 0 args;                        \
  };
#include "pvops/abi/hypercalls.def"

}  // namespace detail

namespace detail {

// By value: the arguments of the hot way then need no memory.
// Goes on with a call that has come `value` pages far in its range (rsi: the first address, rdx: the pages);
// 0 where it is issued again as it was.
[[gnu::noinline, gnu::cold]] inline HypercallResult call_again(abi::Call call, u64 a0, u64 a1, u64 a2, u64 a3,
                                                               u64 a4, u64 a5) {
  for (;;) {
    take_interrupts();
    const HypercallResult result = vmmcall(call, a0, a1, a2, a3, a4, a5);
    if (result.status != Status::kAgain) {
      return result;
    }
    a1 += pages_to_bytes(result.value);
    a2 -= result.value;
  }
}

}  // namespace detail

template <class Args>
HypercallResult call(const Args& args) {
  using Row = detail::CallOf<Args>;
  const abi::Registers r = abi::encode(args);
  const u64 a0 = r[0], a1 = r[1], a2 = r[2], a3 = r[3], a4 = r[4], a5 = r[5];
  HypercallResult result;
  if constexpr (Row::kArguments <= 3) {
    result = vmmcall(Row::kCall, a0, a1, a2);
  } else {
    result = vmmcall(Row::kCall, a0, a1, a2, a3, a4, a5);
  }
  if (result.status == Status::kAgain) [[unlikely]] {
    return detail::call_again(Row::kCall, a0, a1 + pages_to_bytes(result.value), a2 - result.value, a3, a4,
                              a5);
  }
  return result;
}

template <class Args>
Result<void> call_void(const Args& args) {
  const auto result = call(args);
  if (result.status != Status::kOk) {
    return Fail(result.status);
  }
  return {};
}

}  // namespace nopte::pv
