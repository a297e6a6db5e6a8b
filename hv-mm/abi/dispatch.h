// Dispatch of the hypercall ABI, made from the table: decode -> check -> perform. `Handlers` has one member
// function per call it knows, taking that call's argument struct and returning a CallResult; it checks the
// values. A call without a handler, and an unknown number, is kUnsupported; a register that cannot be its
// argument's type is kInvalid; both change nothing.
#pragma once

#include "hv-mm/mode_handler.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

// One function per call, reached through a table: a call pays for its own handler's registers and no more.
template <class Handlers>
class Dispatcher {
 public:
  static CallResult call(Handlers& handlers, u64 number, const abi::Registers& registers) {
    return number < kNumbers ? kByNumber[number](handlers, registers)
                             : CallResult(Fail(Status::kUnsupported));
  }

 private:
  static constexpr u64 kNumbers = 128;
  using Function = CallResult (*)(Handlers&, const abi::Registers&);

  static CallResult unknown(Handlers&, const abi::Registers&) { return Fail(Status::kUnsupported); }
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors)           \
  static CallResult name([[maybe_unused]] Handlers& handlers,                  \
                         [[maybe_unused]] const abi::Registers& registers) {   \
    if constexpr (requires(const abi::name##_args& a) { handlers.name(a); }) { \
      abi::name##_args decoded;                                                \
      if (!abi::decode(registers, decoded)) [[unlikely]] {                     \
        return Fail(Status::kInvalid);                                         \
      }                                                                        \
      return handlers.name(decoded);                                           \
    } else {                                                                   \
      return Fail(Status::kUnsupported);                                       \
    }                                                                          \
  }
#include "pvops/abi/hypercalls.def"

  static constexpr std::array<Function, kNumbers> kByNumber = [] {
    std::array<Function, kNumbers> table;
    table.fill(unknown);
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) table[number] = &Dispatcher::name;
#include "pvops/abi/hypercalls.def"
    return table;
  }();
};

template <class Handlers>
CallResult dispatch(Handlers& handlers, u64 number, const abi::Registers& registers) {
  return Dispatcher<Handlers>::call(handlers, number, registers);
}

}  // namespace nopte::hv
