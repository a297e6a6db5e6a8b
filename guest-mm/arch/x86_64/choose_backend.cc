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

// What this guest can use of a hypervisor for its memory, for messages.
#define NOPTE_LOOKED_FOR "memory calls (ABI version 1), xen, vmi, lguest, kvmpv"

// Paging belongs to the hypervisor.
BootInfo boot_by_hypercalls(const abi::BootBlock& block) {
  const u64 features = pv::common_features();
  if ((features & abi::kFeatureMemory) == 0) {
    refuse(
        "it was started without memory for page tables of its own, and the hypervisor offers no memory "
        "calls; "
        "looked for " NOPTE_LOOKED_FOR);
  }
  pv::use_memory_features(features);
  pv::set_violation_block(reinterpret_cast<const abi::ViolationBlock*>(block.violation_block));
  g_mm_ops = &pv::hypercall_mm_ops();
  return {{}, ObjectId(block.initramfs_object), block.initramfs_bytes, g_mm_ops->name};
}

// Paging belongs to the translation layer in this image.
BootInfo boot_by_engine(const abi::BootBlock& block) {
  const bool ours = block.under_hypervisor == abi::kOurHypervisor;
  const bool on_xen = block.under_hypervisor == abi::kXenHypervisor;
  const u64 features = ours ? pv::common_features() : 0;
  if (!on_xen && block.kind == abi::BootKind::kMachine && (features & abi::kFeatureXen) == 0) {
    refuse(
        "it was started in machine memory, and the hypervisor does not offer xen; looked "
        "for " NOPTE_LOOKED_FOR);
  }
  const auto& backend = on_xen ? pt::xenpv_backend() : pt::native_backend(features);
  g_mm_ops = backend.mm;
  bind_calls(*backend.mm, backend.fault);
  const auto boot = backend.boot({&block, &kernel_regions(), &boot_object_mappings()});
  if (!boot) {
    refuse(pt::boot_error(boot.error()));
  }
  BootInfo info{{}, boot->initramfs, boot->initramfs_bytes, g_mm_ops->name};
  if (ours && (features & abi::kFeatureInterfaces) == 0) {
    info.remark = "the hypervisor offers none of " NOPTE_LOOKED_FOR ": page tables as on the bare machine";
  }
  return info;
}

}  // namespace

void choose_platform(const abi::BootBlock& block) {
  if (block.under_hypervisor == 0) {
    g_platform_ops = &pt::init_native_platform(block);
    bind_calls(*g_platform_ops);
    return;
  }
  if (block.under_hypervisor == abi::kXenHypervisor) {
    g_platform_ops = &pt::init_xen_platform(block);
    bind_calls(*g_platform_ops);
    return;
  }
  if (!pv::hypervisor_present()) {
    halt();  // entered as if by our hypervisor, which is not there
  }
  // Numbers of calls never change: what an older hypervisor does not know, it refuses.
  g_platform_ops = &pv::init_platform(block);
  if (pv::hypervisor_version() < abi::kAbiVersion) {
    refuse("the hypervisor's ABI is older than version 1; looked for platform calls, " NOPTE_LOOKED_FOR);
  }
  if ((pv::common_features() & abi::kFeaturePlatform) == 0) {
    refuse("the hypervisor does not offer platform calls (ABI version 1)");
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
