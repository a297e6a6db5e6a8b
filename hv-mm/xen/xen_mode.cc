#include "hv-mm/xen/xen_mode.h"

#include "hv-mm/boot/linear_map.h"
#include "hv-mm/container/setup.h"
#include "hv-mm/xen/domain_builder.h"

namespace nopte::hv {
namespace {

// The top-level entry of the view of the machine-to-physical table.
Result<pt::Entry> map_machine_to_physical(BootMemory& own, const MachineFrames& frames, u64 table) {
  auto map = LinearMap::create(own, pt::Privilege::kKernel);
  if (!map) return Fail(map.error());
  const u64 bytes = frames.count() * sizeof(u64);
  NOPTE_TRY(map->map(abi::xen::kMachineToPhysical + frames.begin() * sizeof(u64), table, bytes,
                     pt::Entry::kernel_leaf(pt::Frame(), kPermR), LinearMap::Leaf::kPage));
  return pt::load_entry(own.pointer(map->root()), abi::xen::kReservedSlot);
}

}  // namespace

void XenMode::forget() {
  const PageTypes::Flush& due = types_.due();
  if (due.everything) {
    tlb_.flush_everything();
  } else {
    if (due.others && others_known_) {
      tlb_.flush_others();
      others_known_ = false;
    }
    if (due.base) tlb_.flush();
  }
  if (due.everything || due.base) {
    ++flushes_;
  } else {
    page_flushes_ += due.count;
    for (const Gva va : due.pages()) stop_.host.forget_page(va, tlb_.asid());
  }
  types_.flushed();
}

void XenMode::write_counters(JsonWriter& json) const {
  const PageTypes::Counters& types = types_.counters();
  const XenCalls::Counters& calls = calls_.counters();
  json.member("entries_written", types.entries_written);
  json.member("tables_validated", types.tables_validated);
  json.member("tables_released", types.tables_released);
  json.member("pins", types.pins);
  json.member("unpins", types.unpins);
  json.member("base_loads", types.bases);
  json.member("type_flushes", types.type_flushes);
  json.member("tlb_flushes", flushes_);
  json.member("tlb_page_flushes", page_flushes_);
  json.member("mmu_updates", calls.mmu_updates);
  json.member("mmuext_ops", calls.mmuext_ops);
  json.member("multicalls", calls.multicalls);
  json.member("update_va_mappings", calls.update_va_mappings);
  json.member("restarts", calls.restarts);
  json.member("refused", calls.refused);
}

StartResult start_xen_with(const Launch& launch, XenCalls::ZeroPage zero, XenCalls::CopyPage copy) {
  constexpr const char* kNoMemory = "too little memory for the frame metadata of mode xen";
  constexpr const char* kTooLittle = "too little memory: memory= does not hold the guest's tables";
  const u64 count = launch.guest.bytes >> kPageShift;
  if (count > MachineFrames::kMaxFrames) return std::unexpected("mode=xen takes at most 16 GiB of memory=");
  BootMemory& own = *launch.own;
  const auto infos_at = own.take_pages(bytes_to_pages(count * sizeof(FrameInfo)));
  const auto table_at = own.take_pages(bytes_to_pages(count * sizeof(u64)));
  if (!infos_at || !table_at) return std::unexpected(kNoMemory);
  const std::span<FrameInfo> infos(reinterpret_cast<FrameInfo*>(own.pointer(*infos_at)), count);
  for (FrameInfo& info : infos) new (&info) FrameInfo();
  const auto range = pt::FrameRange::of(pt::Frame(launch.guest.begin >> kPageShift), count);
  const MachineFrames frames(range, launch.guest_memory(), infos);

  DomainBuilder builder(frames, FrameOrder(frames.begin(), count));
  builder.fill_machine_to_physical(reinterpret_cast<u64*>(own.pointer(*table_at)));
  const auto reserved = map_machine_to_physical(own, frames, *table_at);
  if (!reserved) return std::unexpected(kNoMemory);
  const auto block_at = load_physical(launch, [&](u64 page) { return builder.pointer(page); });
  if (!block_at) return std::unexpected(block_at.error());
  static_assert(sizeof(abi::BootBlock) <= kPageBytes);
  auto& block = *reinterpret_cast<abi::BootBlock*>(builder.pointer(*block_at >> kPageShift));
  const u64 loaded_end = (*block_at >> kPageShift) + 1 + bytes_to_pages(launch.initramfs.size());
  if (!builder.build(*launch.image, loaded_end, block)) return std::unexpected(kTooLittle);

  const u64 root = FrameOrder(frames.begin(), count).machine(block.boot_root);
  const auto mode = own.make<XenMode>(*launch.vcpu, *launch.host, frames, *reserved, zero, copy);
  if (!mode) return std::unexpected(kNoMemory);
  if (!(*mode)->start_on(root)) return std::unexpected("the first tables of mode xen are not valid");
  set_entry_state(*launch.vcpu, launch.image->entry().entry_va, abi::kMachineDirectBase + *block_at);
  intercept_paging(*launch.vcpu, PageFaults::kGuest);
  return *mode;
}

}  // namespace nopte::hv
