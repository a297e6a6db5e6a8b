#include "experiments/peers/kvm_monitor/guest_memory.h"

#include <algorithm>
#include <cstring>

namespace kvm_monitor {

GuestMemory::GuestMemory(std::span<uint8_t> bytes) : bytes_(bytes) {
  const uint64_t low = std::min<uint64_t>(bytes.size(), kLowBytes);
  slots_.push_back({0, 0, low});
  if (bytes.size() > low) slots_.push_back({kHighBegin, low, bytes.size() - low});
}

bool GuestMemory::copy_in(uint64_t guest, std::string_view data) const {
  if (guest > low_bytes() || data.size() > low_bytes() - guest) return false;
  std::memcpy(bytes_.data() + guest, data.data(), data.size());
  return true;
}

}  // namespace kvm_monitor
