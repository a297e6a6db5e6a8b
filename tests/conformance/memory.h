// How a home lets the cases touch memory: as a program does (user addresses) and as the kernel does (kernel
// windows and kernel memory).
#pragma once

#include "pvops/region_spec.h"

namespace nopte::conformance {

// Eight bytes that end a program wherever in them it begins: ud2, four times.
inline constexpr u64 kTrapCode = 0x0b0f'0b0f'0b0f'0b0f;

// What a refused access answers.
constexpr Status status_of(ViolationReason reason) {
  switch (reason) {
    case ViolationReason::kNone:
      return Status::kOk;
    case ViolationReason::kNoRegion:
      return Status::kNoRegion;
    case ViolationReason::kPermission:
      return Status::kPermission;
    case ViolationReason::kPastEnd:
      return Status::kPastEnd;
    case ViolationReason::kNoMemory:
      return Status::kNoMemory;
  }
  return Status::kUnsupported;
}

class Memory {
 public:
  // 8 bytes, aligned.
  virtual Result<u64> load(Gva va) = 0;
  virtual Status store(Gva va, u64 value) = 0;
  // A program begins to run at va, where kTrapCode lies. kBadAddress: something else was executed.
  virtual Status execute(Gva va) = 0;
  // The address that the last refused access was refused at.
  [[nodiscard]] virtual Gva refused_at() const = 0;
  // For a home that keeps the kernel space's promises itself.
  virtual void window_promised(const RegionSpec&) {}
  virtual void window_withdrawn(VaRange) {}

 protected:
  ~Memory() = default;
};

}  // namespace nopte::conformance
