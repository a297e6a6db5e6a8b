// The machine's memory as a plugin finds it, and the control block that VMRUN names.
//
// QEMU's interface gives no guest memory (before version 4), but says where in QEMU an instruction's bytes
// lie. Before paging is on, the address of an instruction is physical: their difference is where memory
// begins.
#pragma once

#include <cstdint>
#include <cstring>

namespace plugins {

inline constexpr uint64_t kPageBytes = 4096;

class Memory {
 public:
  // An instruction at `address`, whose bytes QEMU has at `in_qemu` (null: not in memory).
  void learn(uint64_t address, const void* in_qemu) {
    if (begin_ == nullptr && address >= kLowest && address < kLowEnd && in_qemu != nullptr) {
      begin_ = static_cast<const uint8_t*>(in_qemu) - address;
    }
  }
  [[nodiscard]] bool known() const { return begin_ != nullptr; }
  // Zero while memory is not known. Above the gap below 4 GiB the address is too low, by what the gap is.
  [[nodiscard]] uint64_t physical_of(const void* in_qemu) const {
    return begin_ != nullptr && in_qemu != nullptr
               ? static_cast<uint64_t>(static_cast<const uint8_t*>(in_qemu) - begin_)
               : 0;
  }
  // What lies at a physical address; a PC has its memory above 4 GiB right behind that below 3 GiB.
  template <typename Value>
  [[nodiscard]] Value at(uint64_t physical) const {
    Value value;
    std::memcpy(&value, begin_ + (physical < kGapEnd ? physical : physical - kGapEnd + kLowEnd),
                sizeof value);
    return value;
  }

 private:
  // From here down a PC's memory is at its own address, if the machine has so much; above 1 MiB nothing lies
  // over it.
  static constexpr uint64_t kLowest = 1 << 20;
  static constexpr uint64_t kLowEnd = uint64_t{3} << 30;
  static constexpr uint64_t kGapEnd = uint64_t{4} << 30;
  const uint8_t* begin_ = nullptr;
};

// The control block (APM vol. 2, appendix B): VMRUN stores the host's state to one page, and loads the
// guest's from there.
class ControlBlock {
 public:
  // VMRUN's own accesses; the first load tells.
  void learn(bool store, uint64_t address) {
    if (!store && physical_ == 0) physical_ = address & ~(kPageBytes - 1);
  }
  [[nodiscard]] bool known() const { return physical_ != 0; }
  // A field of it, by its offset.
  template <typename Value>
  [[nodiscard]] Value field(const Memory& memory, uint64_t offset) const {
    return memory.at<Value>(physical_ + offset);
  }

  // The block must look like one.
  [[nodiscard]] bool credible(const Memory& memory) const {
    const auto asid = field<uint32_t>(memory, kAsid);
    return asid != 0 && asid <= 0xff && (field<uint32_t>(memory, 0x10) & 1) != 0;  // intercepts VMRUN
  }

  static constexpr uint64_t kAsid = 0x58;
  static constexpr uint64_t kTlbControl = 0x5c;
  static constexpr uint64_t kExitCode = 0x70;
  static constexpr uint64_t kNested = 0x90;
  static constexpr uint64_t kRip = 0x578;

 private:
  uint64_t physical_ = 0;  // 0: no VMRUN yet
};

}  // namespace plugins
