// Kernel contexts, user registers and the FS base. Source: AMD64 APM vol. 2, 3.1 and 4.8.
#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"

extern "C" {
void switch_stacks(nopte::u64* save_stack_pointer, nopte::u64 load_stack_pointer);
void context_start();
[[noreturn]] void resume_registers(nopte::guest::UserRegisters* registers);
}

namespace nopte::guest::arch {
namespace {

constexpr u64 kUserData = 0x2b;
constexpr u64 kUserCode = 0x33;
constexpr u64 kInterruptFlag = 0x200;
constexpr u64 kReservedFlag = 0x2;
constexpr u64 kCr4TimeStampDisable = 0x4;

// Without FSGSBASE a program cannot set its GS base: it stays 0.
bool g_base_instructions = false;

// CR4.TSD of the program that runs (APM vol. 2, 3.1.3). As long as none ever had it, a switch need not look.
bool g_time_stamps_fault = false;
bool g_plain_switch = false;
void load_time_stamps_fault(bool fault) {
  g_time_stamps_fault = fault;
  const u64 others = cpu::read_cr4() & ~kCr4TimeStampDisable;
  cpu::write_cr4(fault ? others | kCr4TimeStampDisable : others);
}

void switch_gs_base(KernelContext& from, const KernelContext& to) {
  from.gs_base = cpu::rdgsbase();
  if (to.gs_base != from.gs_base) [[unlikely]]
    cpu::wrgsbase(to.gs_base);
}

// Without the instructions; at ring 3, what a program has is known.
u64 g_known_fs_base = 0;
[[gnu::cold, gnu::noinline]] void set_fs_base_otherwise(u64 base) {
  if (g_ring3 == nullptr) return cpu::wrmsr(cpu::kMsrFsBase, base);
  if (base != g_known_fs_base) g_ring3->set_fs_base(base);
  g_known_fs_base = base;
}
// The next entry's stack, where a store does not say it.
[[gnu::cold, gnu::noinline]] void enter_elsewhere() {
  if (g_ring3 != nullptr) g_ring3->set_kernel_stack(kernel_stack());
}
[[gnu::cold, gnu::noinline]] void switch_more(KernelContext& from, const KernelContext& to) {
  g_base_instructions ? switch_gs_base(from, to) : enter_elsewhere();
  if (to.time_stamps_fault != g_time_stamps_fault) load_time_stamps_fault(to.time_stamps_fault);
}
[[gnu::cold, gnu::noinline]] u64 fs_base_otherwise() {
  return g_ring3 == nullptr ? cpu::rdmsr(cpu::kMsrFsBase) : g_known_fs_base;
}

// What switch_stacks pops, lowest address first.
struct SavedContext {
  u64 r15, r14, r13, r12, rbx, rbp, rip;
};

}  // namespace

u64 gs_base() { return g_base_instructions ? cpu::rdgsbase() : 0; }
bool set_gs_base(u64 base) {
  if (g_base_instructions) {
    cpu::wrgsbase(base);
  }
  return g_base_instructions;
}

// The order that entry.S pushes.
static_assert(offsetof(UserRegisters, r11) == 48 && offsetof(UserRegisters, orig_rax) == 120 &&
              offsetof(UserRegisters, cs) == 136 && offsetof(UserRegisters, rsp) == 152 &&
              sizeof(UserRegisters) == 168);

void prepare_context(KernelContext& context, Gva stack_top, void (*entry)(void*), void* argument) {
  // Below the user registers, which a forked process has there already.
  const u64 top = (stack_top.value() - sizeof(UserRegisters)) & ~u64{15};
  auto* saved = reinterpret_cast<SavedContext*>(top - sizeof(SavedContext));
  *saved = {};
  saved->r12 = reinterpret_cast<u64>(argument);
  saved->rbx = reinterpret_cast<u64>(entry);
  saved->rip = reinterpret_cast<u64>(&context_start);
  context.stack_pointer = reinterpret_cast<u64>(saved);
  context.gs_base = gs_base();
  context.time_stamps_fault = g_time_stamps_fault;
}

void switch_context(KernelContext& from, const KernelContext& to, Gva stack_top) {
  set_kernel_stack(stack_top);
  g_plain_switch ? switch_gs_base(from, to) : switch_more(from, to);
  switch_stacks(&from.stack_pointer, to.stack_pointer);
}

bool set_time_stamps_fault(KernelContext& running, bool fault) {
  if (g_ring3 != nullptr) return !fault;  // the kernel itself could not read it
  g_plain_switch &= !fault;
  running.time_stamps_fault = fault;
  load_time_stamps_fault(fault);
  return true;
}

UserRegisters& user_registers(Gva stack_top) {
  return *reinterpret_cast<UserRegisters*>(stack_top.value() - sizeof(UserRegisters));
}

void return_to_user(UserRegisters& registers) { resume_registers(&registers); }

void init_user_registers(UserRegisters& registers, Gva entry, Gva stack) {
  registers = {};
  registers.orig_rax = kNotASyscall;
  registers.rip = entry.value();
  registers.cs = kUserCode;
  registers.rflags = kInterruptFlag | kReservedFlag;
  registers.rsp = stack.value();
  registers.ss = kUserData;
  static_cast<void>(set_gs_base(0));
}

void set_fs_base(u64 base) { g_base_instructions ? cpu::wrfsbase(base) : set_fs_base_otherwise(base); }
u64 fs_base() { return g_base_instructions ? cpu::rdfsbase() : fs_base_otherwise(); }

}  // namespace nopte::guest::arch

namespace nopte::guest {

constinit const Ring3* g_ring3 = nullptr;

void enable_base_instructions() {
  constexpr u64 kCr4Fsgsbase = u64{1} << 16;
  arch::g_base_instructions = (cpu::read_cr4() & kCr4Fsgsbase) != 0;
  arch::g_plain_switch = arch::g_base_instructions;
}

}  // namespace nopte::guest
