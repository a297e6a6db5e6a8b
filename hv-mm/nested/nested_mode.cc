// Mode nested: the guest's page tables are its own; nested tables map its whole memory with 2 MiB leaves,
// built once. No memory exit is left: a nested fault is an access outside the guest's memory.
#include "hv-mm/launch.h"
#include "hv-mm/linear_read.h"
#include "hv-mm/nested/nested_tables.h"

namespace nopte::hv {
namespace {

class NestedMode final : public ModeHandler {
 public:
  NestedMode(const Launch& launch, u64 tables)
      : memory_{launch.guest_memory(), launch.guest.bytes}, tables_(tables) {}

  [[nodiscard]] const char* name() const override { return "nested"; }
  [[nodiscard]] PagingControl paging_control() const override { return PagingControl::kGuest; }

  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override { vcpu.inject_page_fault(va, error_code); }
  // As on a machine without anything at that address: refused rather than emulated, so that a stray access is
  // seen.
  void on_nested_fault(Vcpu& vcpu, u64, u64) override {
    ++outside_;
    vcpu.inject_exception(kVectorGeneralProtection, 0);
  }
  Result<u64> read_cr3(Vcpu& vcpu) override { return vcpu.vmcb().cr3; }
  Result<void> write_cr3(Vcpu&, u64) override { return Fail(Status::kUnsupported); }
  void on_invlpg(Vcpu&, Gva) override {}

  Result<void> read_guest(const Vcpu& vcpu, Gva va, std::span<u8> bytes) override {
    return read_linear(memory_, vcpu.vmcb().cr3, va, bytes);
  }
  void write_counters(JsonWriter& json) const override {
    json.member("nested_tables", tables_);
    json.member("accesses_outside_memory", outside_);
  }

 private:
  PhysicalMemory memory_;
  u64 tables_;
  u64 outside_ = 0;
};

}  // namespace

StartResult start_nested(const Launch& launch) {
  constexpr const char* kNoMemory = "too little memory for the nested tables";
  const auto boot_block = load_physical(launch);
  if (!boot_block) {
    return std::unexpected(boot_block.error());
  }
  const u64 free_before = launch.own->free_bytes();
  const auto root = make_nested_tables(*launch.own, launch.guest);
  if (!root) {
    return std::unexpected(kNoMemory);
  }
  const u64 tables = (free_before - launch.own->free_bytes()) >> kPageShift;
  const auto mode = launch.own->make<NestedMode>(launch, tables);
  if (!mode) {
    return std::unexpected(kNoMemory);
  }
  Vmcb& v = launch.vcpu->vmcb();
  v.nested_control = kNestedPaging;
  v.nested_cr3 = *root;
  const abi::EntryNote& entry = launch.image->entry();
  v.cr3 = entry.boot_root;
  set_entry_state(*launch.vcpu, entry.entry_va, *boot_block);
  return *mode;
}

}  // namespace nopte::hv
