#include "hv-mm/shadow/shadow_mode.h"

#include "hv-mm/container/cr_policy.h"
#include "hv-mm/container/setup.h"

namespace nopte::hv {
namespace {

// As other hypervisors have it by default: shadow tables for 2% of the guest's memory.
constexpr u64 kGuestFramesPerTable = 50;
constexpr u64 kReverseBytesPerTable = 512;

// The shadow's tables and metadata, from the hypervisor's own memory.
std::expected<ShadowPool, const char*> make_pool(BootMemory& own, u64 guest_frames) {
  constexpr const char* kNoMemory = "too little memory for shadow tables";
  const u64 fixed = ShadowTables::metadata_bytes(guest_frames, 0) + 16 * kPageBytes;
  if (own.free_bytes() < fixed) return std::unexpected(kNoMemory);
  const u64 per_table = kPageBytes + sizeof(ShadowPage) + kReverseBytesPerTable;
  const u64 wanted = std::max<u64>(guest_frames / kGuestFramesPerTable, 256);
  const u64 tables = std::min((own.free_bytes() - fixed) / per_table, wanted);
  const u64 metadata_pages = bytes_to_pages(
      ShadowTables::metadata_bytes(guest_frames, static_cast<u32>(tables)) + tables * kReverseBytesPerTable);
  const auto tables_at = own.take_pages(tables);
  const auto metadata_at = own.take_pages(metadata_pages);
  if (!tables_at || !metadata_at) return std::unexpected(kNoMemory);
  std::memset(own.pointer(*metadata_at), 0,
              ShadowTables::metadata_bytes(guest_frames, static_cast<u32>(tables)));
  return ShadowPool{own.pointer(*tables_at),
                    pt::PhysAddr(*tables_at),
                    static_cast<u32>(tables),
                    {own.pointer(*metadata_at), pages_to_bytes(metadata_pages)}};
}

GuestProcessor processor_of(Host& host) {
  constexpr u32 kGiantPages = 1u << 26;
  return {.physical_bits = host.cpuid(0x8000'0008, 0).eax & 0xff,
          .giant_pages = (host.cpuid(0x8000'0001, 0).edx & kGiantPages) != 0};
}

}  // namespace

void ShadowMode::start_on(Vcpu& vcpu, Host& host) {
  host_ = &host;
  tlb_.emplace(vcpu, host);
  tlb_->load_root(mmu_.host_root());
  mmu_.forgive_losses();
}

void ShadowMode::forget_losses() {
  const ShadowLosses& losses = mmu_.losses();
  if (losses.everywhere()) {
    tlb_->flush_everything();
    ++flushes_;
  } else if (losses.root()) {
    tlb_->flush();
    ++flushes_;
  } else {
    page_flushes_ += losses.pages().size();
    for (const Gva va : losses.pages()) host_->forget_page(va, tlb_->asid());
  }
  mmu_.forgive_losses();
}

void ShadowMode::write_counters(JsonWriter& json) const {
  for_each_counter(mmu_.counters(),
                   [&](std::string_view counter, u64 value) { json.member(counter, value); });
  json.member("tlb_flushes", flushes_);
  json.member("tlb_page_flushes", page_flushes_);
  json.member("accesses_outside_memory", outside_);
}

StartResult start_shadowed(const Launch& launch, ShadowMode& mode) {
  const auto boot_block = load_physical(launch);
  if (!boot_block) return std::unexpected(boot_block.error());
  const u64 guest_frames = launch.guest.bytes >> kPageShift;
  const auto pool = make_pool(*launch.own, guest_frames);
  if (!pool) return std::unexpected(pool.error());
  ShadowMmu& mmu = mode.mmu();
  const GuestMemory memory{launch.guest_window(), pt::PhysAddr(launch.guest.begin), guest_frames};
  if (!mmu.init(memory, *pool, processor_of(*launch.host))) {
    return std::unexpected("too little memory for shadow tables");
  }
  mmu.set_smep((abi::kEntryCr4 & kCr4Smep) != 0);

  const abi::EntryNote& entry = launch.image->entry();
  if (!mmu.set_root(entry.boot_root))
    return std::unexpected("the guest image's boot_root lies outside memory=");
  intercept_paging(*launch.vcpu);
  mode.start_on(*launch.vcpu, *launch.host);
  set_entry_state(*launch.vcpu, entry.entry_va, *boot_block);
  return &mode;
}

}  // namespace nopte::hv
