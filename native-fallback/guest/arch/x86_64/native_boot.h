// Boot of the translation layer inside the guest: the pool of frames, the kernel space with the image mapped
// write-xor-execute, the direct map, the initramfs as an object. It exists once, for every engine and every
// page-table interface.
//
// Concurrency: the guest kernel's (one CPU, non-preemptible). At most one interface boots.
#pragma once

#include <optional>

#include "native-fallback/arch/x86_64/pvh.h"
#include "native-fallback/engine/picture.h"
#include "native-fallback/format/x86_entry.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/guest/native_backend.h"
#include "native-fallback/tables/counters.h"

namespace nopte::pt {

inline constinit FrameTable g_frames;

inline PhysAddr image_physical(const void* va) { return PhysAddr(reinterpret_cast<u64>(va) - kImageOffset); }

// What boot asks of an engine over g_frames; the functions are the engine's own (engine.h).
class KernelMapper {
 public:
  virtual Result<void> init(std::optional<Frame> direct_table) = 0;
  virtual Result<void> map_kernel_frames(Gva begin, FrameRange frames, Perm perm) = 0;
  virtual Result<void> map_direct(FrameRange range, Caching caching) = 0;
  virtual void set_kernel_regions(const RegionSource& windows) = 0;
  virtual Result<void> space_activate(SpaceId space) = 0;
  virtual Result<ObjectId> object_adopt(FrameRange contents, const ObjectMappings& mappings) = 0;
  [[nodiscard]] virtual const EngineCounters& counters() const = 0;
  virtual void draw(PictureWriter& picture) const = 0;

 protected:
  ~KernelMapper() = default;
};

// What is different about a page-table interface when the guest boots.
class GuestInterface {
 public:
  // kMachine: the guest finds its memory mapped, by a direct map that was made for it.
  constexpr explicit GuestInterface(abi::BootKind kind = abi::BootKind::kPhysical) : kind_(kind) {}
  [[nodiscard]] abi::BootKind kind() const { return kind_; }

  // kMachine: before there is a pool, which frames are not the pool's.
  virtual FrameRange built(const abi::BootBlock&) { return {}; }
  // The kernel space is mapped and about to run; `memory` covers all RAM.
  virtual void start(FrameRange) {}
  // kMachine: it runs.
  virtual void leave_boot_tables(const abi::BootBlock&) {}

 protected:
  ~GuestInterface() = default;

 private:
  abi::BootKind kind_;
};

// As NativeBackend::boot says.
Result<NativeBoot> boot_guest(const NativeStart& start, KernelMapper& kernel, GuestInterface& interface);

}  // namespace nopte::pt
