// Boot of the translation layer inside the guest: the pool of frames, the kernel space with the image mapped
// write-xor-execute, the direct map, the initramfs as an object; then every fault. A template over the
// page-table interface that the engine feeds.
//
// Concurrency: the guest kernel's (one CPU, non-preemptible). At most one interface boots.
#pragma once

#include "native-fallback/arch/x86_64/pvh.h"
#include "native-fallback/guest/arch/x86_64/native_machine.h"
#include "native-fallback/guest/arch/x86_64/native_processor.h"
#include "native-fallback/guest/engine_mm_ops.h"
#include "native-fallback/guest/native_backend.h"
#include "native-fallback/sinks/store_sink.h"
#include "pvops/arch/x86_64/interrupt_controllers.h"
#include "pvops/arch/x86_64/lapic.h"
#include "pvops/freestanding/init_array.h"

extern "C" {
// guest.ld: where the segments begin and end.
extern const char image_begin[], image_text_end[], image_rodata_end[], image_data_end[];
extern const char translation_text_end[], translation_rodata_end[], image_end[];
extern const nopte::Constructor translation_init_array_begin[], translation_init_array_end[];
}

namespace nopte::pt {

inline constinit NativeProcessor g_processor;
inline constinit FrameTable g_frames;

inline constexpr u64 kLowMemoryEnd = 0x10'0000;  // firmware and devices below

inline PhysAddr image_physical(const void* va) { return PhysAddr(reinterpret_cast<u64>(va) - kImageOffset); }

// An interface whose guest finds its memory mapped, by a direct map that was made for it. built(), before
// there is a pool of frames, says which frames are not the pool's; leave_boot_tables() comes when the
// engine's root runs.
template <class Interface>
concept BuiltInterface = requires(const abi::BootBlock& block) {
  { Interface::built(block) } -> std::same_as<FrameRange>;
  { Interface::leave_boot_tables(block) } -> std::same_as<void>;
};

// The engine over one interface. The engine does not know which.
template <class Interface>
class Home {
  static constinit Engine<typename Interface::Sink> engine_;

 public:
  using Mm = EngineMm<engine_, Interface::sink>;

  static Result<NativeBoot> boot(const NativeStart& start);
  static ViolationReason fault(u64 address, u64 error_code);
  static constexpr NativeBackend backend() { return {&kOps, &fault, &boot}; }

 private:
  static Result<void> map_image();
  static Result<volatile void*> map_device(u64 physical);
  static Result<void> map_devices();
  static Result<ObjectId> adopt_initramfs(FrameRange frames, u64 bytes, const ObjectMappings& mappings);

  static constexpr MmOps kOps = Mm::ops(Interface::kName);
};
template <class Interface>
constinit Engine<typename Interface::Sink> Home<Interface>::engine_(Interface::sink, g_frames);

template <class Interface>
Result<void> Home<Interface>::map_image() {
  const struct {
    const char* begin;
    const char* end;
    Perm perm;
  } segments[] = {
      {image_begin, image_text_end, kPermRX},
      {image_text_end, image_rodata_end, kPermR},
      {image_rodata_end, image_data_end, kPermRW},
      {image_data_end, translation_text_end, kPermRX},
      {translation_text_end, translation_rodata_end, kPermR},
      {translation_rodata_end, image_end, kPermRW},
  };
  for (const auto& s : segments) {
    NOPTE_TRY(engine_.map_kernel_frames(Gva(reinterpret_cast<u64>(s.begin)),
                                        FrameRange::inside(image_physical(s.begin), image_physical(s.end)),
                                        s.perm));
  }
  return {};
}

// Maps a page of device registers; its kernel address.
template <class Interface>
Result<volatile void*> Home<Interface>::map_device(u64 physical) {
  NOPTE_TRY(engine_.map_direct(FrameRange::of(Frame::at(PhysAddr(physical)), 1), Caching::kUncached));
  return reinterpret_cast<volatile void*>(FourLevel::kDirectRange.begin.value() + physical);
}

template <class Interface>
Result<void> Home<Interface>::map_devices() {
  const auto lapic = map_device(Lapic::kPhysical);
  const auto io_apic = map_device(IoApic::kPhysical);
  if (!lapic || !io_apic) {
    return Fail(Status::kNoMemory);
  }
  start_interrupts(*lapic, *io_apic);
  return {};
}

// The frames of the initramfs become an object; what follows its last byte reads zero.
template <class Interface>
Result<ObjectId> Home<Interface>::adopt_initramfs(FrameRange frames, u64 bytes,
                                                  const ObjectMappings& mappings) {
  if (const u64 used = bytes & kPageMask; used != 0) {
    u8* last = g_frames.window(frames.end) - kPageBytes;
    __builtin_memset(last + used, 0, kPageBytes - used);
  }
  return engine_.object_adopt(frames, mappings);
}

// Replaced by the object's own view once the guest kernel has one.
class NoMappings final : public ObjectMappings {
  void for_each(u64, u64, FunctionRef<void(SpaceId, VaRange)>) const override {}
};
inline constinit NoMappings g_no_mappings;

template <class Interface>
Result<NativeBoot> Home<Interface>::boot(const NativeStart& start) {
  run_constructors(translation_init_array_begin, translation_init_array_end);
  const abi::BootBlock& block = *start.block;
  constexpr bool kBuilt = BuiltInterface<Interface>;
  if ((block.kind == abi::BootKind::kMachine) != kBuilt) return Fail(Status::kUnsupported);
  PhysicalLayout memory = g_pvh_memory;
  if (memory.covered().empty()) {
    memory.add_ram(PhysAddr(0), PhysAddr(block.memory_bytes));
  }
  // The initramfs becomes the engine's, page by page.
  const PhysAddr initramfs(block.initramfs_physical);
  const FrameRange initramfs_frames =
      FrameRange::of(Frame::at(initramfs), bytes_to_pages(block.initramfs_bytes));
  if (!initramfs.page_aligned() || initramfs_frames.end > memory.covered().end) {
    return Fail(Status::kInvalid);
  }
  memory.reserve(FrameRange::inside(PhysAddr(0), PhysAddr(kLowMemoryEnd)));
  memory.reserve(FrameRange::inside(image_physical(image_begin), image_physical(image_end)));
  memory.reserve(initramfs_frames);

  constexpr u64 kDirectBase = FourLevel::kDirectRange.begin.value();
  if constexpr (kBuilt) {
    static_assert(kDirectBase == abi::kMachineDirectBase);
    memory.reserve(Interface::built(block));
    NOPTE_TRY(g_frames.init(kDirectBase, memory.covered(), memory.usable()));
    NOPTE_TRY(engine_.init(Frame(block.direct_table)));
    NOPTE_TRY(map_image());
  } else {
    // On the boot tables physical memory is seen at 0, afterwards in the direct map.
    NOPTE_TRY(g_frames.init(0, memory.covered(), memory.usable()));
    NOPTE_TRY(engine_.init());
    NOPTE_TRY(map_image());
    for (const FrameRange& ram : memory.ram()) {
      NOPTE_TRY(engine_.map_direct(ram));
    }
  }
  engine_.set_kernel_regions(*start.kernel_windows);
  Interface::start(memory.covered());
  NOPTE_TRY(engine_.space_activate(SpaceId::kKernel));
  if constexpr (kBuilt) {
    Interface::leave_boot_tables(block);
  } else {
    g_frames.rebase(kDirectBase);
  }

  if (block.under_hypervisor == 0) {
    NOPTE_TRY(map_devices());
  }
  g_engine_counters = &engine_.counters();
  NativeBoot boot{ObjectId::kNone, block.initramfs_bytes};
  if (block.initramfs_bytes != 0) {
    const auto object = adopt_initramfs(initramfs_frames, block.initramfs_bytes, g_no_mappings);
    if (!object) {
      return Fail(object.error());
    }
    boot.initramfs = *object;
  }
  return boot;
}

template <class Interface>
ViolationReason Home<Interface>::fault(u64 address, u64 error_code) {
  constexpr u64 kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16;
  NOPTE_ASSERT((error_code & kReserved) == 0);
  const Access access = (error_code & kFetch) != 0   ? Access::kExec
                        : (error_code & kWrite) != 0 ? Access::kWrite
                                                     : Access::kRead;
  return Mm::fault(Gva(address), access, (error_code & kUser) != 0 ? Privilege::kUser : Privilege::kKernel);
}

// The processor alone (bare machine, modes nested and shadow).
struct Plain {
  static constexpr const char* kName = "native";
  using Sink = StoreSink<NativeProcessor>;
  static inline constinit Sink sink{g_frames, g_processor};
  static void start(FrameRange) {}
};

const NativeBackend& plain_backend();

}  // namespace nopte::pt
