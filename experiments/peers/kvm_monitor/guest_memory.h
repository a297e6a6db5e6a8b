// The guest's memory, as a PC has it: a gap for devices below 4 GiB, of which what lies above LOW_BYTES comes
// behind it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kvm_monitor {

struct MemorySlot {
  uint64_t guest = 0;   // physical address in the guest
  uint64_t offset = 0;  // where its bytes begin in the whole
  uint64_t bytes = 0;
};

class GuestMemory {
 public:
  static constexpr uint64_t kLowBytes = uint64_t{3} << 30;
  static constexpr uint64_t kHighBegin = uint64_t{4} << 30;

  explicit GuestMemory(std::span<uint8_t> bytes);

  [[nodiscard]] const std::vector<MemorySlot>& slots() const { return slots_; }
  [[nodiscard]] uint8_t* host(const MemorySlot& slot) const { return bytes_.data() + slot.offset; }
  // Bytes below the gap.
  [[nodiscard]] uint64_t low_bytes() const { return slots_[0].bytes; }
  // Copies to `guest`, which must lie below the gap with all of `data`; false: it does not, and nothing was
  // copied.
  [[nodiscard]] bool copy_in(uint64_t guest, std::string_view data) const;

 private:
  std::span<uint8_t> bytes_;
  std::vector<MemorySlot> slots_;
};

}  // namespace kvm_monitor
