// In the place of choose_backend.cc in the image without paravirtualisation: the bare machine and the
// translation layer over it, nothing else. What the census measures the other image against.
#include "guest-mm/arch/x86_64/start.h"
#include "guest-mm/core/kernel_windows.h"
#include "native-fallback/guest/native_backend.h"

namespace nopte::guest {

void choose_platform(const abi::BootBlock& block) { pt::init_native_platform(block); }

BootInfo choose_memory(const abi::BootBlock& block) {
  const auto boot = pt::boot_bare({&block, &kernel_regions(), &boot_object_mappings()});
  if (!boot) {
    refuse(pt::boot_error(boot.error()));
  }
  return {{}, boot->initramfs, boot->initramfs_bytes, "native"};
}

// Bound when the image was compiled.
arch::CallSites arch::call_sites() { return {}; }

}  // namespace nopte::guest
