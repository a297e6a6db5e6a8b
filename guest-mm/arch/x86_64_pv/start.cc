// The kernel at ring 3 on Xen: what it registers instead of tables of its own, and the calls that stand where
// others have an instruction.
#include "guest-mm/arch/x86_64/start.h"

#include <cstring>

#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/arch/x86_64/xen_call.h"
#include "pvops/base/panic.h"
#include "pvops/interfaces/xen_pv.h"

extern "C" {
extern const nopte::u64 ring3_vectors[22];
extern char return_instruction[];
void ring3_return();
void ring3_events();
void ring3_failsafe();
void ring3_syscall_entry();
}

namespace nopte::guest {
namespace {

using namespace abi::xen_pv;

void set_trap_table() {
  constexpr u8 kBreakpoint = 3, kOverflow = 4, kProgramMayRaise = 3;
  TrapGate gates[std::size(ring3_vectors) + 1];
  TrapGate* next = gates;
  for (u8 vector = 0; vector < std::size(ring3_vectors); ++vector) {
    if (ring3_vectors[vector] == 0) continue;
    const bool program_may_raise = vector == kBreakpoint || vector == kOverflow;
    *next++ = {vector, static_cast<u8>(kGateMasksEvents | (program_may_raise ? kProgramMayRaise : 0)), kCode,
               0, ring3_vectors[vector]};
  }
  *next = {};
  NOPTE_ASSERT(xen_call(kSetTrapTable, xen_argument(gates[0])) == 0);
}

void set_callback(u16 type, void (*to)()) {
  const Callback callback{type, kCallbackMasksEvents, 0, reinterpret_cast<u64>(to)};
  NOPTE_ASSERT(xen_call(kCallbackOp, kCallbackRegister, xen_argument(callback)) == 0);
}

constexpr Ring3 kRing3{
    .set_kernel_stack = [](Gva top) { xen_call(kStackSwitch, kStack, top.value()); },
    .set_fs_base = [](u64 base) { xen_call(kSetSegmentBase, kFsBase, base); },
};

// IRET is a call here. The text can be written: these are Xen's boot tables.
void patch_return() {
  char code[5] = {'\xe9'};
  const auto displacement = static_cast<i32>(reinterpret_cast<u64>(&ring3_return) -
                                             reinterpret_cast<u64>(return_instruction) - sizeof(code));
  std::memcpy(code + 1, &displacement, sizeof(displacement));
  std::memcpy(return_instruction, code, sizeof(code));
}

}  // namespace

extern "C" void dispatch_xen_event(u8 vector) { handle_interrupt(vector); }
extern "C" [[noreturn]] void events_not_masked() { NOPTE_PANIC("an exception came with events unmasked"); }

extern "C" [[noreturn]] void start_guest_at_ring3(const abi::BootBlock* block) {
  constexpr u64 kOsxsave = u64{1} << 18;
  g_ring3 = &kRing3;
  set_trap_table();
  set_callback(kCallbackEvent, ring3_events);
  set_callback(kCallbackFailsafe, ring3_failsafe);
  set_callback(kCallbackSyscall, ring3_syscall_entry);
  patch_return();
  cpu::write_cr4(cpu::read_cr4() | kOsxsave);
  go_on(*block);
}

}  // namespace nopte::guest
