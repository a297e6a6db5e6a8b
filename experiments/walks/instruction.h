// The instructions that a model of TLBs must see, told by their bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace walks {

enum class Special : uint8_t {
  kNone,
  kWriteCr3,
  kWriteCr0OrCr4,  // what they change of paging flushes everything
  kInvlpg,
  kVmrun,
  kVmloadOrVmsave,  // their accesses are to physical addresses
  kInvlpga,
};

[[nodiscard]] Special classify(std::span<const uint8_t> bytes);

}  // namespace walks
