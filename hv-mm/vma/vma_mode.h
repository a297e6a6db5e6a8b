// Mode vma: the hypervisor's home of the paging engine. The guest names regions; every table is ours.
// `Instructions` as vcpu_processor.h has it.
#pragma once

#include <cstring>

#include "hv-mm/container/setup.h"
#include "hv-mm/launch.h"
#include "hv-mm/linear_read.h"
#include "hv-mm/vma/vcpu_processor.h"
#include "hv-mm/vma/vma_memory.h"
#include "native-fallback/sinks/store_sink.h"

namespace nopte::hv {
template <class Instructions>
class VmaMode final : public ModeHandler {
 public:
  VmaMode(const Launch& launch, Instructions instructions)
      : stop_{*launch.host},
        physical_{launch.own->pointer(0), launch.guest.begin + launch.guest.bytes},
        processor_(*launch.vcpu, *launch.host, instructions),
        sink_(frames_, processor_),
        engine_(sink_, frames_),
        memory_(engine_, frames_, stop_) {}

  // Loads the guest and completes the control block. The error is a message for the user.
  std::expected<void, const char*> start(const Launch& launch);

  [[nodiscard]] const char* name() const override { return "vma"; }
  [[nodiscard]] u64 features() const override { return abi::kMemoryFeatures; }

  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override;
  // Nested paging is off.
  void on_nested_fault(Vcpu& vcpu, u64, u64) override { vcpu.inject_exception(kVectorGeneralProtection, 0); }
  // There is no root that the guest could name.
  Result<u64> read_cr3(Vcpu&) override { return 0; }
  Result<void> write_cr3(Vcpu&, u64) override { return Fail(Status::kUnsupported); }
  // Nothing of the guest's can be stale: every change flushes.
  void on_invlpg(Vcpu&, Gva) override {}
  CallResult on_memory_call(Vcpu&, u64 number, const abi::Registers& arguments) override {
    return memory_.call(number, arguments);
  }
  Result<void> read_guest(const Vcpu& vcpu, Gva va, std::span<u8> bytes) override {
    return read_linear(physical_, vcpu.vmcb().cr3, va, bytes);
  }
  [[gnu::cold]] bool draw(pt::PictureWriter& picture) override { return memory_.draw(picture), true; }
  void write_counters(JsonWriter& json) const override {
    pt::for_each_counter(engine_.counters(),
                         [&](std::string_view counter, u64 value) { json.member(counter, value); });
    const MemoryInfo info = engine_.memory_info();
    json.member("frames_in_use", info.total_pages - info.free_pages);
    json.member("queued_calls", memory_.queue_counters().queued);
    json.member("queued_refused", memory_.queue_counters().refused);
  }

 private:
  using Sink = pt::StoreSink<VcpuProcessor<Instructions>>;
  static constexpr const char* kTooLittle =
      "too little memory: memory= does not hold the guest image and its initramfs";

  std::expected<void, const char*> load_image(const GuestImage& image);
  std::expected<u64, const char*> make_boot_pages(const Launch& launch, ObjectId initramfs);

  struct Stop {
    Host& host;
    bool operator()() const { return host.interrupt_waiting(); }
  };

  Stop stop_;
  PhysicalMemory physical_;
  VcpuProcessor<Instructions> processor_;
  pt::FrameTable frames_;
  Sink sink_;
  pt::Engine<Sink> engine_;
  VmaMemory<Sink> memory_;
  abi::ViolationBlock* violation_ = nullptr;
};

template <class Instructions>
std::expected<void, const char*> VmaMode<Instructions>::start(const Launch& launch) {
  const auto frames = pt::FrameRange::inside(pt::PhysAddr(launch.guest.begin),
                                             pt::PhysAddr(launch.guest.begin + launch.guest.bytes));
  // The initramfs takes the top of the guest's memory, as it does on the bare machine.
  const u64 initramfs_pages = bytes_to_pages(launch.initramfs.size());
  if (initramfs_pages >= frames.frames()) return std::unexpected(kTooLittle);
  const pt::FrameRange usable{frames.begin, pt::Frame(frames.end.number() - initramfs_pages)};
  const pt::FrameRange contents{usable.end, frames.end};
  if (!frames_.init(launch.own->direct_base(), frames, {&usable, 1}) || !engine_.init()) {
    return std::unexpected(kTooLittle);
  }
  memory_.init();
  memory_.hide(launch.options.offer.hidden_features);
  ObjectId initramfs = ObjectId::kNone;
  if (initramfs_pages != 0) {
    u8* const to = frames_.pointer(contents.begin);
    std::memcpy(to, launch.initramfs.data(), launch.initramfs.size());
    std::memset(to + launch.initramfs.size(), 0, pages_to_bytes(initramfs_pages) - launch.initramfs.size());
    const auto adopted = memory_.adopt_object(contents);
    if (!adopted) return std::unexpected(kTooLittle);
    initramfs = *adopted;
  }
  if (auto loaded = load_image(*launch.image); !loaded) return loaded;
  const auto block = make_boot_pages(launch, initramfs);
  if (!block) return std::unexpected(block.error());
  set_entry_state(*launch.vcpu, launch.image->entry().entry_va, *block);
  intercept_paging(*launch.vcpu);
  // A guest that starts in the kernel space runs on its root.
  if (!engine_.space_activate(SpaceId::kKernel)) return std::unexpected(kTooLittle);
  return {};
}

template <class Instructions>
std::expected<void, const char*> VmaMode<Instructions>::load_image(const GuestImage& image) {
  for (const GuestSegment& segment : image.segments()) {
    if (segment.translation) continue;
    if (!segment.va.page_aligned())
      return std::unexpected("a segment of the guest image is not page-aligned");
    if (auto mapped = engine_.map_kernel_image(segment.va, bytes_to_pages(segment.memory_bytes), segment.file,
                                               segment.perm);
        !mapped) {
      return std::unexpected(
          mapped.error() == Status::kNoMemory ? kTooLittle : "segments of the guest image share a page");
    }
  }
  return {};
}

// Boot block and violation block, in committed kernel memory. Returns the boot block's address.
template <class Instructions>
std::expected<u64, const char*> VmaMode<Instructions>::make_boot_pages(const Launch& launch,
                                                                       ObjectId initramfs) {
  static_assert(sizeof(abi::BootBlock) <= kPageBytes);
  const Result<Gva> pages = memory_.alloc_kept_kmem(2);
  if (!pages) return std::unexpected(kTooLittle);
  const Gva violation = *pages + kPageBytes;
  abi::BootBlock block = make_boot_block(launch, abi::BootKind::kRegions);
  block.initramfs_object = static_cast<u32>(initramfs);
  block.violation_block = violation.value();
  std::memcpy(*engine_.kernel_pointer(*pages), &block, sizeof(block));
  violation_ = new (*engine_.kernel_pointer(violation)) abi::ViolationBlock;
  return pages->value();
}

template <class Instructions>
void VmaMode<Instructions>::on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) {
  const Access access = error_code & kFaultFetch   ? Access::kExec
                        : error_code & kFaultWrite ? Access::kWrite
                                                   : Access::kRead;
  const auto privilege = error_code & kFaultUser ? pt::Privilege::kUser : pt::Privilege::kKernel;
  const auto resolved = memory_.fault(va, access, privilege);
  if (resolved) [[likely]] {
    return;
  }
  *violation_ = {static_cast<u32>(resolved.error()), static_cast<u32>(memory_.active()), va.value()};
  // What is installed is no concern of the guest's: "present" says that a region is there.
  const bool present = resolved.error() == ViolationReason::kPermission;
  vcpu.inject_page_fault(
      va, (error_code & (kFaultWrite | kFaultUser | kFaultFetch)) | (present ? kFaultPresent : 0));
}

// What start_vma() (launch.h) is made of.
template <class Instructions>
StartResult start_vma_with(const Launch& launch, Instructions instructions) {
  const auto mode = launch.own->template make<VmaMode<Instructions>>(launch, instructions);
  if (!mode) return std::unexpected("too little memory for the hypervisor itself");
  if (auto started = (*mode)->start(launch); !started) return std::unexpected(started.error());
  return *mode;
}

}  // namespace nopte::hv
