// What a mode gets to start the guest with: memory, the checked image, and the vCPU whose control block it
// completes. boot.cc fills it and calls the mode's start function.
#pragma once

#include "hv-mm/boot/boot_memory.h"
#include "hv-mm/boot/guest_image.h"
#include "hv-mm/boot/options.h"
#include "hv-mm/host.h"
#include "hv-mm/mode_handler.h"
#include "pvops/base/function_ref.h"

namespace nopte::hv {

struct Launch {
  Options options;
  const GuestImage* image = nullptr;
  std::span<const u8> initramfs;  // outside `guest`; may be empty
  PhysicalSpan guest;             // the guest's memory: contiguous, 2 MiB aligned
  BootMemory* own = nullptr;      // the hypervisor's; physical memory is seen at own->direct_base()
  u64 tsc_hz = 0;
  u64 boot_wall_ns = 0;
  Vcpu* vcpu = nullptr;
  Host* host = nullptr;

  // Guest memory as the hypervisor sees it (all but vma and xen: guest-physical 0 is its first byte).
  [[nodiscard]] u8* guest_memory() const { return own->pointer(guest.begin); }
};

// A started mode, or a message for the user.
using StartResult = std::expected<ModeHandler*, const char*>;

// Each loads the guest and completes the control block (entry state, CR3 or nested root, intercepts of its
// own).
StartResult start_nested(const Launch& launch);
StartResult start_shadow(const Launch& launch);
StartResult start_vma(const Launch& launch);
StartResult start_kvmpv(const Launch& launch);
StartResult start_vmi(const Launch& launch);
StartResult start_lguest(const Launch& launch);
StartResult start_xen(const Launch& launch);

// --- shared by the modes -----------------------------------------------------------------------------------

// Everything in the boot block that does not depend on the mode.
abi::BootBlock make_boot_block(const Launch& launch, abi::BootKind kind);

// Kind kPhysical: the image at its physical addresses in guest memory, behind it boot block and initramfs.
// Returns the boot block's guest-physical address. The error is a message for the user.
std::expected<u64, const char*> load_physical(const Launch& launch);
// The same where guest-physical page n is seen at pointer(n).
std::expected<u64, const char*> load_physical(const Launch& launch, FunctionRef<u8*(u64)> pointer);

// The entry contract (pvops/abi/boot_block.h), with the container's intercepts and bitmaps, which
// container/setup.cc put there. All but CR3: the mode loads the root that the guest starts on.
void set_entry_state(Vcpu& vcpu, u64 rip, u64 boot_block);

}  // namespace nopte::hv
