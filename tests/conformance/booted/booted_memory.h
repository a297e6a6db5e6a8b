// Memory as the booted image touches it: the kernel by fallible copies, a program at CPL 3.
#pragma once

#include "tests/conformance/memory.h"

namespace nopte::conformance {

// From the traps: an access was refused.
void note_refusal(Gva address, ViolationReason reason);

class BootedMemory final : public Memory {
 public:
  Result<u64> load(Gva va) override;
  Status store(Gva va, u64 value) override;
  Status execute(Gva va) override;
  [[nodiscard]] Gva refused_at() const override;
  // The engine asks the guest's own tree about windows, natively: what the scene promises goes there.
  void window_promised(const RegionSpec& spec) override;
  void window_withdrawn(VaRange range) override;
};

}  // namespace nopte::conformance
