#include "tests/boot/hostile/container.h"

#include "pvops/mm_ops.h"
#include "tests/boot/hostile/xen.h"

using namespace hostile;
using namespace hostile::container;
using pv::vmmcall;

namespace {

struct Probe {
  const char* name;
  const u8* begin;
  const u8* end;
  u8 expected[4];  // by Column; CPL 3
  u8 padding[4];
};

constexpr u8 kUserDone = 0x80;
constexpr unsigned kUserColumn = 3;

}  // namespace

extern "C" {
extern const Probe probes_begin[];
extern const Probe probes_end[];
extern const u8 trap_stubs[];
extern u8 user_page[];
extern volatile u64 interrupts_seen;  // the trap stubs count
u32 run_user_probe(u64 rip, u64 rsp);
}

namespace {

struct [[gnu::packed]] TaskState {
  u32 reserved0;
  u64 rsp0, rsp1, rsp2, reserved1, ist[7], reserved2;
  u16 reserved3, io_map_base;
};

struct Gate {
  u16 offset_low, selector, attributes, offset_middle;
  u32 offset_high, reserved;
};

alignas(16) u8 g_trap_stack[4096];
TaskState g_task;
Gate g_gates[256];
u64 g_descriptors[7] = {
    0,
    0x00af9b000000ffff,  // 0x08 kernel code
    0x00cf93000000ffff,  // 0x10 data
    0x00cff3000000ffff,  // 0x18 user data
    0x00affb000000ffff,  // 0x20 user code
    0,
    0,  // 0x28 task state
};

}  // namespace

void container::load_descriptor_tables() {
  const u64 task = reinterpret_cast<u64>(&g_task);
  g_task.rsp0 = reinterpret_cast<u64>(g_trap_stack) + sizeof(g_trap_stack);
  g_task.io_map_base = sizeof(g_task);
  g_descriptors[5] =
      (sizeof(g_task) - 1) | (task & 0xff'ffff) << 16 | u64{0x89} << 40 | (task >> 24 & 0xff) << 56;
  g_descriptors[6] = task >> 32;
  cpu::lgdt({sizeof(g_descriptors) - 1, reinterpret_cast<u64>(g_descriptors)});
  cpu::ltr(0x28);
  for (unsigned vector = 0; vector < 256; ++vector) {
    const u64 stub = reinterpret_cast<u64>(trap_stubs) + vector * 16;
    const u16 privilege = vector == kUserDone ? 0x6000 : 0;
    g_gates[vector] = {static_cast<u16>(stub),
                       0x08,
                       static_cast<u16>(0x8e00 | privilege),
                       static_cast<u16>(stub >> 16),
                       static_cast<u32>(stub >> 32),
                       0};
  }
  cpu::lidt({sizeof(g_gates) - 1, reinterpret_cast<u64>(g_gates)});
}

UserPage container::make_user_page(const abi::BootBlock& block) {
  if (block.kind == abi::BootKind::kPhysical) {
    return {reinterpret_cast<u64>(user_page) - kImageOffset, user_page};
  }
  if (block.kind == abi::BootKind::kMachine) {
    return {xen::map_for_user(block, *reinterpret_cast<const Page*>(user_page)), user_page};
  }
  constexpr u64 kUser = 0x40'0000;
  const auto space = vmmcall(abi::Call::space_create, 0, 0, 0);
  check("space_create", "", 0, static_cast<u64>(space.status));
  const auto map = vmmcall(abi::Call::region_map, space.value, kUser, 1, Perm::kAll, 0, 0);
  check("region_map", "", 0, static_cast<u64>(map.status));
  const auto activate = vmmcall(abi::Call::space_activate, space.value, 0, 0);
  check("space_activate", "", 0, static_cast<u64>(activate.status));
  return {kUser, reinterpret_cast<u8*>(kUser)};
}

u64 container::run_probes(Column column, const UserPage& page) {
  u64 count = 0;
  for (const Probe* probe = probes_begin; probe != probes_end; ++probe, count += 2) {
    check(probe->name, " at CPL 0", probe->expected[static_cast<unsigned>(column)], run_probe(probe->begin));

    const u64 bytes = static_cast<u64>(probe->end - probe->begin);
    __builtin_memcpy(page.kernel, probe->begin, bytes);
    page.kernel[bytes] = 0xcd;  // int $0x80
    page.kernel[bytes + 1] = kUserDone;
    const u32 result = run_user_probe(page.user, page.user + kPageBytes - 16);
    check(probe->name, " at CPL 3", probe->expected[kUserColumn], result == kUserDone ? kCompleted : result);
  }
  return count;
}

void container::check_state(bool hidden_cr3) {
  check("CR0", "", abi::kEntryCr0, cpu::read_cr0());
  check("CR4", "", abi::kEntryCr4, cpu::read_cr4());
  check("EFER", "", abi::kEntryEfer, cpu::rdmsr(cpu::kMsrEfer));
  if (hidden_cr3) {
    check("CR3", "", 0, cpu::read_cr3());
  }
  const auto leaf1 = cpu::cpuid(1);
  check("CPUID 1 ecx: PCID, x2APIC, TSC deadline, MONITOR", "", 0,
        leaf1.ecx & (1u << 17 | 1u << 21 | 1u << 24 | 1u << 3));
  check("CPUID 7 ebx: INVPCID", "", 0, cpu::cpuid(7).ebx & 1u << 10);
  check("CPUID 7 ecx: PKU, LA57", "", 0, cpu::cpuid(7).ecx & (1u << 3 | 1u << 16));
  check("CPUID 0x80000001 ecx: SVM", "", 0, cpu::cpuid(0x8000'0001).ecx & 1u << 2);
  check("CPUID 0x8000000a", "", 0, cpu::cpuid(0x8000'000a).edx);
  check("CPUID signature", "", abi::kCpuidSignature[0], cpu::cpuid(abi::kCpuidSignatureLeaf).ebx);
}

// Interrupts: idle returns with the timer pending, and it is taken once interrupts are on.
void container::check_timer() {
  const u64 deadline = cpu::rdtsc() + 1'000'000;
  interrupts_seen = 0;
  vmmcall(abi::Call::timer_set, deadline, 0, 0);
  vmmcall(abi::Call::idle, 0, 0, 0);
  check("time after idle", "", 1, cpu::rdtsc() >= deadline);
  check("interrupts while they are off", "", 0, interrupts_seen);
  cpu::sti();
  cpu::nop();
  cpu::cli();
  check("interrupts once they are on", "", 1, interrupts_seen);
  // A deadline that passes while the guest runs.
  const auto run_past = [](u64 limit) {
    cpu::sti();
    const u64 before = interrupts_seen;
    while (interrupts_seen == before && cpu::rdtsc() < limit) {
    }
    cpu::cli();
  };
  vmmcall(abi::Call::timer_set, cpu::rdtsc() + 10'000, 0, 0);
  run_past(cpu::rdtsc() + 1'000'000);
  check("interrupts while running", "", 2, interrupts_seen);
  // One that is forgotten before it passes.
  vmmcall(abi::Call::timer_set, cpu::rdtsc() + 10'000, 0, 0);
  vmmcall(abi::Call::timer_cancel, 0, 0, 0);
  run_past(cpu::rdtsc() + 1'000'000);
  check("interrupts after timer_cancel", "", 2, interrupts_seen);
}

void container::wait_for_keys() {
  // After a trap the segments are this table's, to which an interrupt can return.
  run_probe(reinterpret_cast<const void*>(+[] { __builtin_trap(); }));
  print("hostile: running\n");
  interrupts_seen = 0;
  cpu::sti();
  while (interrupts_seen == 0) {
  }
  cpu::cli();
  vmmcall(abi::Call::console_read, 0, 0, 0);
  print("hostile: idle\n");
  vmmcall(abi::Call::idle, 0, 0, 0);
  print("hostile: done\n");
}
