// One conformance case, and all of them by subject.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "pvops/abi/hypercalls.h"
#include "pvops/mm_ops.h"

namespace nopte::conformance {

class Memory;
class Scene;
struct ExitCosts;

// Which calls of the interface, by number; bit 63: violations.
class CallSet {
 public:
  static constexpr u64 kViolationBit = u64{1} << 63;
  constexpr CallSet() = default;
  constexpr CallSet(std::initializer_list<abi::Call> calls) {
    for (const abi::Call call : calls) add(call);
  }
  static constexpr CallSet violations() {
    CallSet set;
    set.bits_ = kViolationBit;
    return set;
  }
  constexpr void add(abi::Call call) { bits_ |= u64{1} << static_cast<u32>(call); }
  [[nodiscard]] constexpr bool has(abi::Call call) const {
    return static_cast<u64>(call) < 63 && (bits_ >> static_cast<u32>(call) & 1) != 0;
  }
  [[nodiscard]] constexpr bool contains(CallSet other) const { return (other.bits_ & ~bits_) == 0; }
  constexpr CallSet& operator|=(CallSet other) {
    bits_ |= other.bits_;
    return *this;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }

 private:
  u64 bits_ = 0;
};

struct Case {
  const char* name;
  void (*run)(Scene& scene);
  CallSet about;  // what it is a test of: each of these is made by it
};

// The cases of one subject, in one file of cases/.
struct Subject {
  const char* name;  // also the file's
  std::span<const Case> cases;
};

// Every case, in order.
std::span<const Subject> subjects();

// Runs one case in a scene, which then knows what it may cost; ending included. Null: passed, else what
// failed.
const char* run_case(const Case& row, Scene& scene, const MmOps& ops, Memory& memory, const ExitCosts& costs);

}  // namespace nopte::conformance
