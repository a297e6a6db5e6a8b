// The first C++ of the guest, at both entries: decides who owns paging and who runs the machine, from the
// boot block and CPUID, and starts the kernel. The only file of guest-mm that knows the backends.
#include "guest-mm/arch/x86_64/call_sites.h"
#include "guest-mm/arch/x86_64/traps.h"
#include "guest-mm/core/kernel_windows.h"
#include "native-fallback/guest/native_backend.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/chosen_ops.h"
#include "pvops/freestanding/init_array.h"
#include "pvops/guest/hypercall_backend.h"

namespace nopte::guest {
namespace {

constexpr u8 kRefusedStatus = 125;

// The block as it was handed over lies in memory that will be given out.
constinit abi::BootBlock g_block;

[[noreturn]] void halt() {
  for (;;) {
    cpu::cli();
    cpu::hlt();
  }
}

[[noreturn]] void refuse(std::string_view why) {
  const auto platform = platform_ops();
  platform.console_write("nopte guest: cannot boot: ");
  platform.console_write(why);
  platform.console_write("\r\n");
  platform.power_off(kRefusedStatus);
}

void choose_platform() {
  if (g_block.under_hypervisor == 0) {
    g_platform_ops = &pt::init_native_platform(g_block);
    bind_calls(*g_platform_ops);
    return;
  }
  if (!pv::hypervisor_present()) {
    halt();  // entered as if by our hypervisor, which is not there: nothing can be printed
  }
  g_platform_ops = &pv::init_platform(g_block);
  if ((pv::common_features() & abi::kFeaturePlatform) == 0) {
    halt();
  }
}

// Paging belongs to the hypervisor.
BootInfo boot_by_hypercalls() {
  if ((pv::common_features() & abi::kFeatureMemory) == 0) {
    refuse("the hypervisor does not offer the memory calls of ABI version 1");
  }
  pv::set_violation_block(reinterpret_cast<const abi::ViolationBlock*>(g_block.violation_block));
  g_mm_ops = &pv::hypercall_mm_ops();
  return {{}, ObjectId(g_block.initramfs_object), g_block.initramfs_bytes, g_mm_ops->name};
}

// Paging belongs to the translation layer in this image.
BootInfo boot_by_engine() {
  const auto& backend = pt::native_backend(g_block.under_hypervisor != 0 ? pv::common_features() : 0);
  g_mm_ops = backend.mm;
  bind_calls(*backend.mm, backend.fault);
  const auto boot = backend.boot({&g_block, &kernel_regions()});
  if (!boot) {
    refuse(boot.error() == Status::kNoMemory ? "there is too little memory for the kernel and its tables"
           : boot.error() == Status::kUnsupported
               ? "the boot block's kind is not for the interface that the hypervisor offers"
               : "the boot block's memory makes no sense");
  }
  return {{}, boot->initramfs, boot->initramfs_bytes, g_mm_ops->name};
}

}  // namespace

extern "C" [[noreturn]] void start_guest(const abi::BootBlock* block) {
  constexpr u32 kBlockVersion = 1;
  g_block = *block;
  load_descriptor_tables();
  run_constructors(__init_array_start, __init_array_end);
  if (g_block.magic != abi::kBootMagic || g_block.version < kBlockVersion) {
    halt();
  }
  choose_platform();
  enable_fpu();
  enable_base_instructions();
  BootInfo info;
  switch (g_block.kind) {
    case abi::BootKind::kRegions:
      info = boot_by_hypercalls();
      break;
    case abi::BootKind::kPhysical:
    case abi::BootKind::kMachine:
      info = boot_by_engine();
      break;
    default:
      refuse("unknown kind of boot block");
  }
  const u64 bytes = g_block.command_line_bytes;
  info.command_line = {g_block.command_line, bytes <= abi::kCommandLineBytes ? bytes : 0};
  kernel_main(info);
}

}  // namespace nopte::guest
