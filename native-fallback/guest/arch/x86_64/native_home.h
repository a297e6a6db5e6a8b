// The engine over one sink inside the guest: its operations, its boot, and every fault. A template over the
// sink, which is either one or another where there are page-table interfaces (sinks/either_sink.h).
//
// Concurrency: the guest kernel's (one CPU, non-preemptible). At most one interface boots.
#pragma once

#include "native-fallback/guest/arch/x86_64/native_boot.h"
#include "native-fallback/guest/arch/x86_64/native_homes.h"
#include "native-fallback/guest/arch/x86_64/native_processor.h"
#include "native-fallback/guest/engine_mm_ops.h"
#include "pvops/arch/x86_64/interrupt_window.h"

namespace nopte::pt {

inline constinit NativeProcessor g_processor;

// `sink` feeds from g_frames.
template <auto& sink>
class Home {
  using Sink = std::remove_reference_t<decltype(sink)>;
  static constinit Engine<Sink> engine_;
  using Mm = EngineMm<engine_, take_interrupts>;

 public:
  static constexpr MmOps ops(const char* name) { return Mm::ops(name); }

  static Result<NativeBoot> boot(const NativeStart& start, GuestInterface& interface) {
    return boot_guest(start, mapper_, interface);
  }
  static ViolationReason fault(u64 address, u64 error_code) {
    constexpr u64 kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16;
    NOPTE_ASSERT((error_code & kReserved) == 0);
    const Access access = (error_code & kFetch) != 0   ? Access::kExec
                          : (error_code & kWrite) != 0 ? Access::kWrite
                                                       : Access::kRead;
    return Mm::fault(Gva(address), access, (error_code & kUser) != 0 ? Privilege::kUser : Privilege::kKernel);
  }

 private:
  class Mapper final : public KernelMapper {
    Result<void> init(std::optional<Frame> direct_table) override { return engine_.init(direct_table); }
    Result<void> map_kernel_frames(Gva begin, FrameRange frames, Perm perm) override {
      return engine_.map_kernel_frames(begin, frames, perm);
    }
    Result<void> map_direct(FrameRange range, Caching caching) override {
      return engine_.map_direct(range, caching);
    }
    void set_kernel_regions(const RegionSource& windows) override { engine_.set_kernel_regions(windows); }
    Result<void> space_activate(SpaceId space) override { return engine_.space_activate(space); }
    Result<ObjectId> object_adopt(FrameRange contents, const ObjectMappings& mappings) override {
      return engine_.object_adopt(contents, mappings);
    }
    [[nodiscard]] const EngineCounters& counters() const override { return engine_.counters(); }
  };
  static constinit Mapper mapper_;
};
template <auto& sink>
constinit Engine<std::remove_reference_t<decltype(sink)>> Home<sink>::engine_(sink, g_frames);
template <auto& sink>
constinit typename Home<sink>::Mapper Home<sink>::mapper_;

// The processor alone (bare machine, modes nested and shadow).
template <auto& sink>
struct Plain final : GuestInterface {
  using Engine = Home<sink>;
  static constexpr MmOps kOps = Engine::ops("native");
  static Result<NativeBoot> boot(const NativeStart& start) {
    static constinit Plain interface;
    return Engine::boot(start, interface);
  }
};

}  // namespace nopte::pt
