// What the parts share: to try something that may trap, to make a call, to say what came of it.
#include "tests/boot/hostile/hostile.h"

namespace nopte {

[[noreturn]] void panic(const char*, const char*, int) { hostile::power_off(2); }

}  // namespace nopte

using namespace hostile;

extern "C" {
extern u64 trap_error;
extern u64 trap_rip;

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
// What the attempts below work on: they may come back by a trap.
u64 g_operands[2];

}  // namespace

namespace hostile {

void power_off(u8 status) {
  pv::vmmcall(abi::Call::power_off, status, 0, 0);
  __builtin_trap();
}

void print(std::string_view text) {
  while (!text.empty()) {
    u64 words[5] = {};
    const u64 bytes = text.size() < sizeof(words) ? text.size() : sizeof(words);
    __builtin_memcpy(words, text.data(), bytes);
    pv::vmmcall(abi::Call::console_write, bytes, words[0], words[1], words[2], words[3], words[4]);
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
u64 failures() { return g_failures; }

void refused(std::string_view what, u64 error, pv::HypercallResult result) {
  check(what, ": refused", 1, result.status != Status::kOk);
  check(what, ": error", error, result.value);
}
void accepted(std::string_view what, pv::HypercallResult result) {
  check(what, ": status", 0, static_cast<u64>(result.status));
}

u64 calls_made() { return g_interface_calls; }
pv::HypercallResult call(abi::Interface interface, u32 number, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4) {
  ++g_interface_calls;
  return pv::vmmcall(static_cast<abi::Call>(abi::tagged(interface, number)), a0, a1, a2, a3, a4, 0);
}

}  // namespace hostile
