// Boot of the translation layer inside the guest.
#include "native-fallback/guest/arch/x86_64/native_boot.h"

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/guest/arch/x86_64/native_machine.h"
#include "pvops/arch/x86_64/interrupt_controllers.h"
#include "pvops/arch/x86_64/lapic.h"
#include "pvops/at_mark.h"
#include "pvops/base/command_words.h"
#include "pvops/chosen_ops.h"
#include "pvops/freestanding/init_array.h"

extern "C" {
// guest.ld: where the segments begin and end.
extern const char image_begin[], image_text_end[], image_rodata_end[], image_data_end[];
extern const char translation_text_end[], translation_rodata_end[], image_end[];
extern const nopte::Constructor translation_init_array_begin[], translation_init_array_end[];
}

namespace nopte::pt {
namespace {

constexpr u64 kLowMemoryEnd = 0x10'0000;  // firmware and devices below
constexpr u64 kDirectBase = FourLevel::kDirectRange.begin.value();
static_assert(kDirectBase == abi::kMachineDirectBase);

Result<void> map_image(KernelMapper& kernel) {
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
    NOPTE_TRY(kernel.map_kernel_frames(Gva(reinterpret_cast<u64>(s.begin)),
                                       FrameRange::inside(image_physical(s.begin), image_physical(s.end)),
                                       s.perm));
  }
  return {};
}

// Maps a page of device registers; its kernel address.
Result<volatile void*> map_device(KernelMapper& kernel, u64 physical) {
  NOPTE_TRY(kernel.map_direct(FrameRange::of(Frame::at(PhysAddr(physical)), 1), Caching::kUncached));
  return reinterpret_cast<volatile void*>(kDirectBase + physical);
}

Result<void> map_devices(KernelMapper& kernel) {
  const auto lapic = map_device(kernel, Lapic::kPhysical);
  const auto io_apic = map_device(kernel, IoApic::kPhysical);
  if (!lapic || !io_apic) {
    return Fail(Status::kNoMemory);
  }
  start_interrupts(*lapic, *io_apic);
  return {};
}

// The frames of the initramfs become an object; what follows its last byte reads zero.
Result<ObjectId> adopt_initramfs(KernelMapper& kernel, FrameRange frames, u64 bytes,
                                 const ObjectMappings& mappings) {
  if (const u64 used = bytes & kPageMask; used != 0) {
    u8* last = g_frames.pointer(frames.end) - kPageBytes;
    __builtin_memset(last + used, 0, kPageBytes - used);
  }
  return kernel.object_adopt(frames, mappings);
}

const KernelMapper* g_drawn;

// On the console, which every mode has.
[[gnu::cold]] void draw_at_mark() {
  // Not by a call site: those are counted in every mode, and this text is not there in all.
  const auto put = [](std::string_view text) { g_platform_ops->console_write(text); };
  put("nopte: picture ");
  PictureWriter picture(put);
  g_drawn->draw(picture);
  put("\r\n");
}

}  // namespace

Result<NativeBoot> boot_guest(const NativeStart& start, KernelMapper& kernel, GuestInterface& interface) {
  run_constructors(translation_init_array_begin, translation_init_array_end);
  const abi::BootBlock& block = *start.block;
  if (block.kind != interface.kind()) return Fail(Status::kUnsupported);
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

  const bool built = block.kind == abi::BootKind::kMachine;
  if (built) {
    memory.reserve(interface.built(block));
    NOPTE_TRY(g_frames.init(kDirectBase, memory.covered(), memory.usable()));
    NOPTE_TRY(kernel.init(Frame(block.direct_table)));
    NOPTE_TRY(map_image(kernel));
  } else {
    // On the boot tables physical memory is seen at 0, afterwards in the direct map.
    NOPTE_TRY(g_frames.init(0, memory.covered(), memory.usable()));
    NOPTE_TRY(kernel.init({}));
    NOPTE_TRY(map_image(kernel));
    for (const FrameRange& ram : memory.ram()) {
      NOPTE_TRY(kernel.map_direct(ram, Caching::kWriteBack));
    }
  }
  kernel.set_kernel_regions(*start.kernel_windows);
  interface.start(memory.covered());
  NOPTE_TRY(kernel.space_activate(SpaceId::kKernel));
  if (built) {
    interface.leave_boot_tables(block);
  } else {
    g_frames.rebase(kDirectBase);
  }

  if (block.under_hypervisor == 0) {
    NOPTE_TRY(map_devices(kernel));
  }
  g_engine_counters = &kernel.counters();
  if (has_word(abi::command_line_of(block), "picture")) {
    g_drawn = &kernel;
    g_at_mark = draw_at_mark;
  }
  NativeBoot boot{ObjectId::kNone, block.initramfs_bytes};
  if (block.initramfs_bytes != 0) {
    const auto object =
        adopt_initramfs(kernel, initramfs_frames, block.initramfs_bytes, *start.initramfs_mappings);
    if (!object) {
      return Fail(object.error());
    }
    boot.initramfs = *object;
  }
  return boot;
}

}  // namespace nopte::pt
