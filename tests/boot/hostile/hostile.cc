// A guest that tries everything it has no right to: each probe of probes.S at CPL 0 and CPL 3 with the
// exception that must come of it, then every hypercall with nasty values in every register. It prints what
// differed, and as the last line "hostile: ... all as documented", and powers off with 0 or 1.
//
// Its command line names the mode, and may name one way to die instead, which the hypervisor has to survive:
//   -- MODE [shutdown | halt | fault-loop | time | an interface's own]
#include "tests/boot/hostile/hostile.h"

#include <span>
#include <string_view>

#include "pvops/mm_ops.h"
#include "tests/boot/hostile/xen.h"

namespace nopte {

[[noreturn]] void panic(const char*, const char*, int) {
  pv::vmmcall(abi::Call::power_off, 2, 0, 0);
  __builtin_trap();
}

}  // namespace nopte

namespace {

using namespace hostile;
using pv::vmmcall;

struct Probe {
  const char* name;
  const u8* begin;
  const u8* end;
  u8 expected[4];  // nested, shadow, vma and xen; CPL 3
  u8 padding[4];
};

constexpr u8 kUserDone = 0x80;
constexpr unsigned kUserColumn = 3;

[[noreturn]] void power_off(u8 status) {
  vmmcall(abi::Call::power_off, status, 0, 0);
  __builtin_trap();
}

}  // namespace

extern "C" {
extern const Probe probes_begin[];
extern const Probe probes_end[];
extern const u8 trap_stubs[];
extern u8 stack_top[];
extern u8 user_page[];
extern u64 interrupts_seen;
extern u64 trap_error;
extern u64 trap_rip;
u32 run_probe(const void* probe);
u32 run_user_probe(u64 rip, u64 rsp);
extern const Interface interfaces_begin[];
extern const Interface interfaces_end[];

[[noreturn]] void hostile_unexpected(u32 vector) {
  print("hostile: unexpected trap ");
  print(vector);
  print(" at ");
  print(trap_rip);
  print("\n");
  power_off(1);
}
}

namespace {

u64 g_failures = 0;
u64 g_interface_calls = 0;
// What the probes below work on: they may come back by a trap.
u64 g_operands[2];

}  // namespace

namespace hostile {

void print(std::string_view text) {
  while (!text.empty()) {
    u64 words[5] = {};
    const u64 bytes = text.size() < sizeof(words) ? text.size() : sizeof(words);
    __builtin_memcpy(words, text.data(), bytes);
    vmmcall(abi::Call::console_write, bytes, words[0], words[1], words[2], words[3], words[4]);
    text.remove_prefix(bytes);
  }
}

void print(u64 value) {
  char digits[20];
  unsigned at = sizeof(digits);
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
  } while ((value /= 10) != 0);
  print(std::string_view(digits + at, sizeof(digits) - at));
}

void check(std::string_view what, std::string_view where, u64 expected, u64 got) {
  if (expected == got) {
    return;
  }
  ++g_failures;
  print("hostile: ");
  print(what);
  print(where);
  print(": expected ");
  print(expected);
  print(", got ");
  print(got);
  print("\n");
}

u32 load(u64 va) {
  g_operands[0] = va;
  return run_probe(reinterpret_cast<const void*>(
      +[] { static_cast<void>(*reinterpret_cast<const volatile u64*>(g_operands[0])); }));
}
u32 store(u64 va, u64 value) {
  g_operands[0] = va;
  g_operands[1] = value;
  return run_probe(reinterpret_cast<const void*>(
      +[] { *reinterpret_cast<volatile u64*>(g_operands[0]) = g_operands[1]; }));
}
u32 load_cr3(u64 value) {
  g_operands[0] = value;
  return run_probe(reinterpret_cast<const void*>(+[] { cpu::write_cr3(g_operands[0]); }));
}
u32 write_msr(u32 msr, u64 value) {
  g_operands[0] = msr;
  g_operands[1] = value;
  return run_probe(
      reinterpret_cast<const void*>(+[] { cpu::wrmsr(static_cast<u32>(g_operands[0]), g_operands[1]); }));
}
u64 last_error_code() { return trap_error; }

u64 calls_made() { return g_interface_calls; }
pv::HypercallResult call(abi::Interface interface, u32 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4) {
  ++g_interface_calls;
  return vmmcall(static_cast<abi::Call>(abi::tagged(interface, number)), a0, a1, a2, a3, a4, 0);
}

}  // namespace hostile

namespace {

// --- descriptor tables
// --------------------------------------------------------------------------------------

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

void load_descriptor_tables() {
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

// --- probes
// -------------------------------------------------------------------------------------------------

// A page that CPL 3 may read, write and execute, and where this kernel writes it.
struct UserPage {
  u64 user;
  u8* kernel;
};

UserPage make_user_page(const abi::BootBlock& block) {
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

u64 run_probes(unsigned column, const UserPage& page) {
  u64 count = 0;
  for (const Probe* probe = probes_begin; probe != probes_end; ++probe, count += 2) {
    check(probe->name, " at CPL 0", probe->expected[column], run_probe(probe->begin));

    const u64 bytes = static_cast<u64>(probe->end - probe->begin);
    __builtin_memcpy(page.kernel, probe->begin, bytes);
    page.kernel[bytes] = 0xcd;  // int $0x80
    page.kernel[bytes + 1] = kUserDone;
    const u32 result = run_user_probe(page.user, page.user + kPageBytes - 16);
    check(probe->name, " at CPL 3", probe->expected[kUserColumn], result == kUserDone ? kCompleted : result);
  }
  return count;
}

void check_state(bool vma) {
  check("CR0", "", abi::kEntryCr0, cpu::read_cr0());
  check("CR4", "", abi::kEntryCr4, cpu::read_cr4());
  check("EFER", "", abi::kEntryEfer, cpu::rdmsr(cpu::kMsrEfer));
  if (vma) {
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

// --- hypercalls
// ---------------------------------------------------------------------------------------------

constexpr u64 kNasty[] = {
    0,
    1,
    2,
    7,
    16,
    0xfff,
    0x1000,
    0x10000,
    0x7fff'ffff,
    0x8000'0000,
    0xffff'ffff,
    0x1'0000'0000,
    0x40'0000,              // the user page
    0x7fff'fffe'f000,       // the last user page
    0x7fff'ffff'f000,       // beyond
    0x8000'0000'0000,       // not canonical
    0xffff'7fff'ffff'f000,  // not canonical
    0xffff'8000'0000'0000,
    0xffff'c000'0000'0000,  // windows
    0xffff'c07f'ffff'f000,
    0xffff'd000'0000'0000,  // kernel memory
    0xffff'ffff'8010'0000,  // the image
    0xffff'ffff'ffff'f000,
    0x7fff'ffff'ffff'ffff,
    0x8000'0000'0000'0000,
    0x000f'ffff'ffff'ffff,
    0x0010'0000'0000'0000,  // pages that overflow as bytes
    0xffff'ffff'ffff'ffff,
};

}  // namespace
const std::span<const u64> hostile::kNastyValues{kNasty};
namespace {

// What the other registers hold while one is varied.
constexpr u64 kBackgrounds[][6] = {
    {0, 0, 0, 0, 0, 0},
    {1, 0x40'0000, 1, 3, 0, 0},
    {0, 0xffff'c000'0000'0000, 1, 3, 1, 0},
    {~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}, ~u64{0}},
};

constexpr u64 kNumbers[] = {
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) number,
#include "pvops/abi/hypercalls.def"
    // Interfaces' calls: those that this mode has are their own files' matter.
    abi::tagged(abi::Interface::kXen, 1),
    abi::tagged(abi::Interface::kVmi, 39),
    abi::tagged(abi::Interface::kLguest, 14),
    abi::tagged(abi::Interface::kKvmPv, 9),
    u64{0x4e50'0009} << 32,
    5,
    6,
    7,
    13,
    27,
    63,
    71,
    127,
    128,
    255,
    0x1'0000'0000,
    0x1'0000'0008,
    0x7fff'ffff'ffff'ffff,
    ~u64{0}};

bool g_has_interface = false;

// Calls whose effect would end the test: the others' effects are undone or harmless.
bool left_out(u64 number, const u64* r) {
  if (abi::is_tagged(number)) {
    return g_has_interface;
  }
  switch (static_cast<abi::Call>(number)) {
    case abi::Call::power_off:
      return r[0] <= 0xff;
    case abi::Call::idle:
      return true;  // without a deadline it waits for ever, as it should
    case abi::Call::console_write:
    case abi::Call::mark:
      return r[0] >= 1 && r[0] <= 40;  // would print
    default:
      return false;
  }
}

// A call that succeeded is undone, so that the test cannot run out of things.
void undo(abi::Call call, const u64* r, u64 value) {
  switch (call) {
    case abi::Call::space_create:
    case abi::Call::space_clone:
      check("undo: space_destroy", "", 0,
            static_cast<u64>(vmmcall(abi::Call::space_destroy, value, 0, 0).status));
      break;
    case abi::Call::object_create:
      check("undo: object_destroy", "", 0,
            static_cast<u64>(vmmcall(abi::Call::object_destroy, value, 0, 0).status));
      break;
    case abi::Call::kmem_alloc:
      check("undo: kmem_free", "", 0, static_cast<u64>(vmmcall(abi::Call::kmem_free, value, r[0], 0).status));
      break;
    case abi::Call::region_map:
      vmmcall(abi::Call::region_unmap, r[0], r[1], r[2]);
      break;
    default:
      break;
  }
}

u64 torture_calls() {
  constexpr u64 kLastStatus = static_cast<u64>(Status::kLimit);
  u64 count = 0;
  for (const u64 number : kNumbers) {
    for (const auto& background : kBackgrounds) {
      for (unsigned varied = 0; varied < 6; ++varied) {
        for (const u64 value : kNasty) {
          u64 r[6];
          __builtin_memcpy(r, background, sizeof(r));
          r[varied] = value;
          if (left_out(number, r)) {
            continue;
          }
          const auto call = static_cast<abi::Call>(number);
          const auto result = vmmcall(call, r[0], r[1], r[2], r[3], r[4], r[5]);
          ++count;
          const u64 status = static_cast<u64>(result.status);
          if (abi::is_tagged(number)) {
            check("a call of no interface", "", static_cast<u64>(Status::kUnsupported), status);
          }
          if (status > kLastStatus) {
            check("status of call ", "", kLastStatus, status);
          }
          if (result.status == Status::kOk) {
            undo(call, r, result.value);
          }
        }
      }
    }
  }
  vmmcall(abi::Call::timer_cancel, 0, 0, 0);
  return count;
}

// --- ends
// -----------------------------------------------------------------------------------------------------

struct Words {
  std::string_view mode;
  std::string_view scenario;
};

Words parse(std::string_view line) {
  std::string_view words[3];
  for (auto& word : words) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
      break;
    }
    line.remove_prefix(begin);
    word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
  }
  return {words[1], words[2]};
}

// Instructions of one VMMCALL and its handling, by the TSC.
void time_calls() {
  constexpr u64 kCalls = 100;
  const auto measure = [](abi::Call call) {
    const u64 begin = cpu::rdtsc();
    for (u64 i = 0; i < kCalls; ++i) {
      vmmcall(call, 0, 0, 0);
    }
    return (cpu::rdtsc() - begin) / kCalls;
  };
  print("hostile: instructions of a round trip: query ");
  print(measure(abi::Call::query));
  print(", timer_cancel ");
  print(measure(abi::Call::timer_cancel));
  print(", memory_info ");
  print(measure(abi::Call::memory_info));
  print("\n");
  power_off(0);
}

// Interrupts: idle returns with the timer pending, and it is taken once interrupts are on.
void check_timer() {
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
  vmmcall(abi::Call::timer_set, cpu::rdtsc() + 10'000, 0, 0);
  cpu::sti();
  const u64 limit = cpu::rdtsc() + 1'000'000;
  while (interrupts_seen == 1 && cpu::rdtsc() < limit) {
  }
  cpu::cli();
  check("interrupts while running", "", 2, interrupts_seen);
}

}  // namespace

extern "C" [[noreturn]] void hostile_main(const abi::BootBlock* block) {
  load_descriptor_tables();
  const Words words = parse({block->command_line, block->command_line_bytes});
  const bool vma = block->kind == abi::BootKind::kRegions;
  if (words.scenario == "shutdown") {
    cpu::lidt({0, 0});
    __builtin_trap();
  }
  if (words.scenario == "halt") {
    cpu::hlt();
  }
  if (words.scenario == "fault-loop") {  // the interrupt table cannot be read
    cpu::lidt({4095, vma ? u64{0x1000} : u64{0x4000'0000'0000}});
    __builtin_trap();
  }
  if (words.scenario == "time") {
    time_calls();
  }
  for (const Interface* interface = interfaces_begin; interface != interfaces_end; ++interface) {
    if (words.mode == interface->mode && interface->die != nullptr) {
      interface->die(words.scenario, *block);
    }
  }
  check("mode vma comes with regions", "", words.mode == "vma", vma);
  const bool xen = block->kind == abi::BootKind::kMachine;
  check("mode xen comes with machine frames", "", words.mode == "xen", xen);
  const unsigned column = vma || xen ? 2 : words.mode == "nested" ? 0 : 1;

  const UserPage page = make_user_page(*block);
  const u64 probes = run_probes(column, page);
  check_state(vma);
  if (vma) {  // the hypervisor goes on writing there
    check("kmem_free of the boot pages", "", static_cast<u64>(Status::kInvalid),
          static_cast<u64>(vmmcall(abi::Call::kmem_free, reinterpret_cast<u64>(block), 2, 0).status));
  }
  check_timer();
  for (const Interface* interface = interfaces_begin; interface != interfaces_end; ++interface) {
    g_has_interface = g_has_interface || words.mode == interface->mode;
  }
  // The first round may leave tables and bitmaps that are kept; the second must leave nothing.
  u64 calls = torture_calls();
  const u64 free_before = vmmcall(abi::Call::memory_info, 1, 0, 0).value;
  calls += torture_calls();
  check("free pages after the second round", "", free_before, vmmcall(abi::Call::memory_info, 1, 0, 0).value);
  for (const Interface* interface = interfaces_begin; interface != interfaces_end; ++interface) {
    if (words.mode == interface->mode) {
      calls += interface->run(*block);
    }
  }
  print("hostile: ");
  print(probes);
  print(" probes, ");
  print(calls);
  print(" calls, ");
  if (g_failures == 0) {
    print("all as documented\n");
    power_off(0);
  }
  print(g_failures);
  print(" differ\n");
  power_off(1);
}
