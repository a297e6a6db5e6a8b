// A guest of mode vma: the real mode, from its start to the violation block, and a processor that forgets
// what the control block says (entry.h). Its memory lies far up in the host's, behind it the hypervisor's
// own.
#pragma once

#include "hv-mm/mode_handler.h"
#include "pvops/abi/boot_block.h"
#include "tests/model/launched.h"
#include "tests/model/walkers.h"

namespace nopte::model {

// hv::start_vma() whose instructions are the machine's; it has no use for them before the guest runs.
hv::StartResult start_vma_on(const hv::Launch& launch, Machine* machine);

class VmaGuest final : private FaultIntercept {
 public:
  // `asids`: how many the processor has, with the host's.
  static constexpr u32 kAsids = 4;
  explicit VmaGuest(u64 frames, std::span<const u8> initramfs = {}, u64 hidden_features = 0,
                    u32 asids = kAsids);

  hv::CallResult call(u64 number, const abi::Registers& arguments);
  // The byte at va, or nothing: `fault` is what the guest gets then.
  std::optional<u8*> access(Gva va, Access access, Privilege privilege) {
    return machine_.access(0, va, access, privilege);
  }
  struct Fault {
    Gva cr2;
    u64 error_code;
  };
  Fault fault{};
  // What the guest's kernel has at this address.
  template <class T>
  [[nodiscard]] T& kernel(u64 va) {
    const auto byte = access(Gva(va), Access::kRead, Privilege::kKernel);
    NOPTE_ASSERT(byte && Gva(va).page_offset() + sizeof(T) <= kPageBytes);
    return *reinterpret_cast<T*>(*byte);
  }
  [[nodiscard]] const abi::BootBlock& boot_block() { return kernel<abi::BootBlock>(launched_.vcpu.gpr(7)); }
  [[nodiscard]] const abi::ViolationBlock& violation() {
    return kernel<abi::ViolationBlock>(boot_block().violation_block);
  }

  // What the tables have at va, which nobody touches by that.
  [[nodiscard]] bool installed(Gva va) {
    Ways ways;
    return walker_.look(walker_.load(PhysAddr(vmcb().cr3)), va, ways).has_value();
  }

  hv::ModeHandler& mode() { return *mode_; }
  hv::Vcpu& vcpu() { return launched_.vcpu; }
  hv::Vmcb& vmcb() { return launched_.vmcb; }
  HostHere& host() { return launched_.host; }
  Machine& machine() { return machine_; }
  u64 exits = 0;

 private:
  static constexpr u64 kFirstFrame = 0x12'3400, kOwnFrames = 32;
  static constexpr u64 kImagePhysical = 0;  // means nothing here

  bool on_page_fault(Gva va, u64 error_code) override;

  Memory memory_;
  LongModeWalker walker_{memory_, [](Frame frame) { return frame; }};
  Machine machine_{memory_, walker_, 1};
  Launched launched_;
  hv::ModeHandler* mode_ = nullptr;
};

}  // namespace nopte::model
