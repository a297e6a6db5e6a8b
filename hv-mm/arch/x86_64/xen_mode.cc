// Mode xen: direct paging. The processor walks the guest's own tables, whose every change was checked; a page
// fault is the guest's own affair and does not come here.
#include "hv-mm/boot/linear_map.h"
#include "hv-mm/container/setup.h"
#include "hv-mm/launch.h"
#include "hv-mm/xen/domain_builder.h"
#include "hv-mm/xen/xen_calls.h"
#include "pvops/arch/x86_64/cpu.h"

namespace nopte::hv {
namespace {

void zero_page(u8* page) { cpu::rep_stosq(page, 0, kPageBytes / sizeof(u64)); }
void copy_page(u8* to, const u8* from) { cpu::rep_movsq(to, from, kPageBytes / sizeof(u64)); }

class XenMode final : public ModeHandler {
 public:
  XenMode(const MachineFrames& frames, pt::Entry reserved) : types_(frames, reserved) {}

  [[nodiscard]] const char* name() const override { return "xen"; }
  [[nodiscard]] u64 features() const override { return abi::kFeatureXen; }

  // Neither exits in this mode.
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override { vcpu.inject_page_fault(va, error_code); }
  void on_nested_fault(Vcpu& vcpu, u64, u64) override { vcpu.inject_exception(kVectorGeneralProtection, 0); }

  Result<u64> read_cr3(Vcpu&) override { return pages_to_bytes(types_.base()); }
  Result<void> write_cr3(Vcpu&, u64) override { return Fail(Status::kPermission); }
  void on_invlpg(Vcpu& vcpu, Gva) override {
    types_.flush();
    enter_flushed(vcpu);
  }

  CallResult on_memory_call(Vcpu& vcpu, u64 number, const abi::Registers& arguments) override {
    if (!abi::is_of(number, abi::Interface::kXen)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    enter_flushed(vcpu);
    return result;
  }
  Result<void> read_guest(const Vcpu&, Gva va, std::span<u8> bytes) override {
    if (!calls_.pointers().read(va, bytes.data(), bytes.size())) return Fail(Status::kBadAddress);
    return {};
  }

  void write_counters(JsonWriter& json) const override {
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
    json.member("mmu_updates", calls.mmu_updates);
    json.member("mmuext_ops", calls.mmuext_ops);
    json.member("multicalls", calls.multicalls);
    json.member("update_va_mappings", calls.update_va_mappings);
    json.member("restarts", calls.restarts);
    json.member("refused", calls.refused);
  }

  // The root that the domain builder made. False: the tables do not obey the rules.
  [[nodiscard]] bool start_on(u64 root) {
    XenErrno error = XenErrno::kRestart;
    while (error == XenErrno::kRestart) {
      if (types_.begin_call()) error = types_.pin(root, pt::kLevels);
    }
    return error == XenErrno::kNone && types_.set_base(root) == XenErrno::kNone;
  }

 private:
  void enter_flushed(Vcpu& vcpu) {
    if (!types_.take_flush()) return;
    ++flushes_;
    vcpu.vmcb().cr3 = pages_to_bytes(types_.base());
    vcpu.flush_tlb_at_entry();
  }

  PageTypes types_;
  XenCalls calls_{types_, zero_page, copy_page};
  u64 flushes_ = 0;
};

// The top-level entry of the window onto the machine-to-physical table.
Result<pt::Entry> map_machine_to_physical(BootMemory& own, const MachineFrames& frames, u64 table) {
  auto map = LinearMap::create(own, pt::Privilege::kKernel);
  if (!map) return Fail(map.error());
  const u64 bytes = frames.count() * sizeof(u64);
  NOPTE_TRY(map->map(abi::xen::kMachineToPhysical + frames.begin() * sizeof(u64), table, bytes,
                     pt::Entry::kernel_leaf(pt::Frame(), kPermR), LinearMap::Leaf::kPage));
  return pt::load_entry(own.pointer(map->root()), abi::xen::kReservedSlot);
}

}  // namespace

StartResult start_xen(const Launch& launch) {
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
  const MachineFrames frames(range, launch.guest_window(), infos);

  DomainBuilder builder(frames, FrameOrder(frames.begin(), count));
  builder.fill_machine_to_physical(reinterpret_cast<u64*>(own.pointer(*table_at)));
  const auto reserved = map_machine_to_physical(own, frames, *table_at);
  if (!reserved) return std::unexpected(kNoMemory);
  const auto block_at = load_physical(launch, [&](u64 page) { return builder.window(page); });
  if (!block_at) return std::unexpected(block_at.error());
  static_assert(sizeof(abi::BootBlock) <= kPageBytes);
  auto& block = *reinterpret_cast<abi::BootBlock*>(builder.window(*block_at >> kPageShift));
  const u64 loaded_end = (*block_at >> kPageShift) + 1 + bytes_to_pages(launch.initramfs.size());
  if (!builder.build(*launch.image, loaded_end, block)) return std::unexpected(kTooLittle);

  const u64 root = FrameOrder(frames.begin(), count).machine(block.boot_root);
  const auto mode = own.make<XenMode>(frames, *reserved);
  if (!mode) return std::unexpected(kNoMemory);
  if (!(*mode)->start_on(root)) return std::unexpected("the first tables of mode xen are not valid");
  set_entry_state(*launch.vcpu, launch.image->entry().entry_va, abi::kMachineDirectBase + *block_at,
                  pages_to_bytes(root));
  intercept_paging(*launch.vcpu, PageFaults::kGuest);
  return *mode;
}

}  // namespace nopte::hv
