// Decides who owns paging and who runs the machine, from the boot block and CPUID, and binds the kernel's
// calls to them. The only file of guest-mm that knows the backends.
#include "guest-mm/arch/x86_64/call_sites.h"
#include "guest-mm/arch/x86_64/start.h"
#include "guest-mm/core/kernel_windows.h"
#include "native-fallback/guest/native_backend.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/chosen_ops.h"
#include "pvops/guest/hypercall_backend.h"

namespace nopte::guest {
namespace {

// Paging belongs to the hypervisor.
BootInfo boot_by_hypercalls(const abi::BootBlock& block) {
  if ((pv::common_features() & abi::kFeatureMemory) == 0) {
    refuse("the hypervisor does not offer the memory calls of ABI version 1");
  }
  pv::set_violation_block(reinterpret_cast<const abi::ViolationBlock*>(block.violation_block));
  g_mm_ops = &pv::hypercall_mm_ops();
  return {{}, ObjectId(block.initramfs_object), block.initramfs_bytes, g_mm_ops->name};
}

// Paging belongs to the translation layer in this image.
BootInfo boot_by_engine(const abi::BootBlock& block) {
  const auto& backend = pt::native_backend(block.under_hypervisor != 0 ? pv::common_features() : 0);
  g_mm_ops = backend.mm;
  bind_calls(*backend.mm, backend.fault);
  const auto boot = backend.boot({&block, &kernel_regions()});
  if (!boot) {
    refuse(pt::boot_error(boot.error()));
  }
  return {{}, boot->initramfs, boot->initramfs_bytes, g_mm_ops->name};
}

}  // namespace

void choose_platform(const abi::BootBlock& block) {
  if (block.under_hypervisor == 0) {
    g_platform_ops = &pt::init_native_platform(block);
    bind_calls(*g_platform_ops);
    return;
  }
  if (!pv::hypervisor_present()) {
    halt();  // entered as if by our hypervisor, which is not there
  }
  g_platform_ops = &pv::init_platform(block);
  if ((pv::common_features() & abi::kFeaturePlatform) == 0) {
    halt();
  }
}

BootInfo choose_memory(const abi::BootBlock& block) {
  switch (block.kind) {
    case abi::BootKind::kRegions:
      return boot_by_hypercalls(block);
    case abi::BootKind::kPhysical:
    case abi::BootKind::kMachine:
      return boot_by_engine(block);
    default:
      refuse("unknown kind of boot block");
  }
}

}  // namespace nopte::guest
