#include "hv-mm/shadow/trapped/trapped_mode.h"

#include "hv-mm/shadow/trapped/store_execute.h"

namespace nopte::hv {

bool TrappedMode::emulate_store(Vcpu& vcpu, Gva va, Gpa gpa) {
  if ((vcpu.vmcb().exit_int_info & kEventValid) || !vcpu.in_64bit_code()) return false;
  const Gva rip(vcpu.rip());
  const auto store = decode_store(InstructionBytes::fetch(
      rip, [&](Gva from, std::span<u8> bytes) { return read_guest(vcpu, from, bytes).has_value(); }));
  if (!store || store->memory.segment != MemoryOperand::Segment::kFlat) return false;
  // The fault names the first byte that was refused. Where the store does not begin there, it runs in from
  // the page before.
  const u64 begin = store->offset(rip.value(), [&vcpu](u8 number) { return vcpu.gpr(number); });
  if (Gva(begin).page_offset() != va.page_offset() || (begin & (store->operand_bytes - 1u)) != 0)
    return false;
  const u64 before =
      pt::load_entry(mmu_.guest().table(gpa.page()), static_cast<unsigned>(gpa.page_offset() / 8)).word();
  const StoreEffect effect =
      execute_store(*store, before >> (gpa.value() % 8 * 8), vcpu.gpr(store->register_index), vcpu.vmcb().rax,
                    vcpu.vmcb().rflags);
  if (!mmu_.store(gpa, effect.memory, store->operand_bytes)) return false;
  if (effect.loads_register) vcpu.gpr(effect.register_index) = effect.register_value;
  vcpu.vmcb().rflags = effect.rflags;
  vcpu.advance_rip(store->length_bytes);
  return true;
}

StartResult start_trapped(const Launch& launch, TrappedMode& mode) {
  launch.vcpu->keep_whole_registers_at_faults();
  return start_shadowed(launch, mode);
}

StartResult start_trapped(const Launch& launch, const char* name) {
  const auto mode = launch.own->make<TrappedMode>(name);
  if (!mode) return std::unexpected("too little memory for shadow tables");
  return start_trapped(launch, **mode);
}

StartResult start_shadow(const Launch& launch) { return start_trapped(launch, "shadow"); }

}  // namespace nopte::hv
