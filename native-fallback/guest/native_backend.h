// The translation layer's guest home: real page tables made by the paging engine inside the guest, and the
// bare machine's devices as platform. Used natively, and with the paravirtual platform under a hypervisor
// that gives the guest physical memory (modes nested and shadow).
#pragma once

#include "pvops/abi/boot_block.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"

namespace nopte::pt {

// What boot needs of the guest kernel's image; nothing here is the translation layer's to know.
struct NativeStart {
  const abi::BootBlock* block;
  const RegionSource* kernel_windows;  // promises of the kernel space
  const ObjectMappings* initramfs_mappings;
};

struct NativeBoot {
  ObjectId initramfs;  // kNone when there is none
  u64 initramfs_bytes;
};

struct NativeBackend {
  const MmOps* mm;
  FaultResolver fault;
  // Leaves the boot tables for the engine's. The block lies in the image. Called once.
  // Errors: kNoMemory, kInvalid (the block's physical ranges make no sense), kUnsupported (its kind is not
  // what the interface needs: kMachine for Xen's, else kPhysical): nothing can be booted.
  Result<NativeBoot> (*boot)(const NativeStart& start);
};

// The engine over the first of the page-table interfaces that is known and offered, or else over the
// processor alone. `features`: of the hypervisor below (pvops/abi/hypercalls.h); 0: none.
const NativeBackend& native_backend(u64 features);

// At ring 3 on Xen itself.
const NativeBackend& xenpv_backend();

// The image without paravirtualisation has one backend and no table of it: its boot().
Result<NativeBoot> boot_bare(const NativeStart& start);

// A failed boot() in words.
constexpr const char* boot_error(Status status) {
  switch (status) {
    case Status::kNoMemory:
      return "there is too little memory for the kernel and its tables";
    case Status::kUnsupported:
      return "the boot block's kind is not for the interface that the hypervisor offers";
    default:
      return "the boot block's memory makes no sense";
  }
}

// The bare machine's console works at once; its timer and console interrupt once boot() has mapped the
// interrupt controllers.
const PlatformOps& init_native_platform(const abi::BootBlock& block);
// Xen's console, events and timer.
const PlatformOps& init_xen_platform(const abi::BootBlock& block);

}  // namespace nopte::pt
