// Dispatch of the hypercall ABI, made from the table: decode -> check -> perform. `Handlers` has one member
// function per call it knows, taking that call's argument struct and returning a CallResult; it checks the
// values. A call without a handler, and an unknown number, is kUnsupported; a register that cannot be its
// argument's type is kInvalid; both change nothing.
#pragma once

#include "hv-mm/mode_handler.h"
#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

template <class Handlers>
CallResult dispatch(Handlers& handlers, u64 number, const abi::Registers& registers) {
  switch (number) {
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number_, name, args, result, purpose, errors)          \
  case (number_): {                                                            \
    if constexpr (requires(const abi::name##_args& a) { handlers.name(a); }) { \
      abi::name##_args decoded;                                                \
      if (!abi::decode(registers, decoded)) [[unlikely]] {                     \
        return {Status::kInvalid, 0};                                          \
      }                                                                        \
      return handlers.name(decoded);                                           \
    } else {                                                                   \
      return {Status::kUnsupported, 0};                                        \
    }                                                                          \
  }
#include "pvops/abi/hypercalls.def"
    default:
      return {Status::kUnsupported, 0};
  }
}

}  // namespace nopte::hv
