// The end after one of our own bugs: what happened, the registers, a backtrace with names, power-off.
#include <string_view>

#include "guest-mm/arch/x86_64/symbols.h"
#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/base/digits.h"
#include "pvops/chosen_ops.h"

extern "C" nopte::ViolationReason copy_or_fault(void* to, const void* from, nopte::u64 bytes);

namespace nopte::guest {
namespace {

constexpr u8 kPanicStatus = 255;
constexpr u64 kKernelHalf = u64{1} << 63;

void print(std::string_view text) {
  if (g_platform_ops != nullptr) {
    platform_ops().console_write(text);
  }
}

void print_hex(u64 value) {
  char digits[16];
  for (int i = 0; i < 16; ++i) {
    digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  }
  print({digits, sizeof(digits)});
}

void print_decimal(u64 value) { print(Digits(value).text()); }

void print_register(const char* name, u64 value, bool last) {
  print(name);
  print(" ");
  print_hex(value);
  print(last ? "\n" : "  ");
}

void print_registers(const UserRegisters& r) {
  print_register("rip", r.rip, false);
  print_register("rsp", r.rsp, false);
  print_register("rfl", r.rflags, true);
  print_register("rax", r.rax, false);
  print_register("rbx", r.rbx, false);
  print_register("rcx", r.rcx, true);
  print_register("rdx", r.rdx, false);
  print_register("rsi", r.rsi, false);
  print_register("rdi", r.rdi, true);
  print_register("rbp", r.rbp, false);
  print_register("r8 ", r.r8, false);
  print_register("r9 ", r.r9, true);
  print_register("r10", r.r10, false);
  print_register("r11", r.r11, false);
  print_register("r12", r.r12, true);
  print_register("r13", r.r13, false);
  print_register("r14", r.r14, false);
  print_register("r15", r.r15, true);
  print_register("cs ", r.cs, false);
  print_register("err", r.orig_rax, false);
  print_register("cr2", cpu::read_cr2(), true);
}

// A return address may lie behind its function's last instruction, a call that does not return.
enum class Place { kInstruction, kReturnAddress };

void print_place(u64 address, Place place) {
  const u64 back = place == Place::kReturnAddress ? 1 : 0;
  print("  ");
  print_hex(address);
  if (const auto symbol = find_symbol(address - back)) {
    print(" ");
    print(symbol->name);
    print("+");
    print_decimal(symbol->offset + back);
  }
  print("\n");
}

// Follows frame pointers; each frame lies above the one before, and none is read that cannot be.
void print_backtrace(u64 rip, Place place, u64 rbp) {
  constexpr int kMaxFrames = 40;
  print("backtrace:\n");
  print_place(rip, place);
  u64 frame[2];  // the caller's rbp, the return address
  for (int i = 0; i < kMaxFrames && rbp >= kKernelHalf; ++i) {
    if (copy_or_fault(frame, reinterpret_cast<const void*>(rbp), sizeof(frame)) != ViolationReason::kNone ||
        frame[1] < kKernelHalf) {
      return;
    }
    print_place(frame[1], Place::kReturnAddress);
    if (frame[0] <= rbp) {
      return;
    }
    rbp = frame[0];
  }
}

[[noreturn]] void stop() {
  if (g_platform_ops != nullptr) {
    platform_ops().power_off(kPanicStatus);
  }
  for (;;) {
    cpu::cli();
    cpu::hlt();
  }
}

// A panic while one is printed stops at once.
bool g_panicking = false;

void begin_report(std::string_view what) {
  cpu::cli();
  if (g_panicking) {
    print("\npanic within a panic: ");
    print(what);
    print("\n");
    stop();
  }
  g_panicking = true;
  print("\nguest kernel panic: ");
  print(what);
}

}  // namespace

void stop_with_registers(const char* what, const UserRegisters& registers) {
  begin_report(what);
  print("\n");
  print_registers(registers);
  print_backtrace(registers.rip, Place::kInstruction, registers.rbp);
  stop();
}

// Called by panic() (entry.S) with its caller's registers.
extern "C" [[noreturn]] void report_panic(const char* what, const char* file, int line,
                                          const UserRegisters& registers) {
  begin_report(what);
  print(" (");
  print(file);
  print(":");
  print_decimal(static_cast<u64>(line));
  print(")\n");
  print_registers(registers);
  print_backtrace(registers.rip, Place::kReturnAddress, registers.rbp);
  stop();
}

}  // namespace nopte::guest
