#include "hv-mm/arch/x86_64/report.h"

#include "hv-mm/exits.h"
#include "hv-mm/hex_text.h"
#include "hv-mm/json_writer.h"
#include "pvops/arch/x86_64/debug_ports.h"
#include "pvops/arch/x86_64/uart.h"
#include "pvops/base/panic.h"

extern "C" const nopte::u8 image_start[];
extern "C" const nopte::u8 image_end[];

namespace nopte::hv {
namespace {

constexpr u8 kStatusHypervisorBug = 127;

void print_register(std::string_view name, u64 value) {
  uart::write(name);
  uart::write(HexText(value).view());
}

bool in_image(u64 address) {
  return address >= reinterpret_cast<u64>(image_start) && address + 16 <= reinterpret_cast<u64>(image_end);
}

// Frames whose pointers stay in the image (the stacks do) and go up.
void print_backtrace(u64 frame) {
  uart::write("backtrace:");
  for (int depth = 0; depth < 24 && in_image(frame) && frame % 8 == 0; ++depth) {
    const auto* words = reinterpret_cast<const u64*>(frame);
    print_register(" ", words[1]);
    if (words[0] <= frame) {
      break;
    }
    frame = words[0];
  }
  uart::write("\n");
}

[[noreturn]] void end(u8 status, std::string_view what) {
  const auto sink = [](std::string_view piece) { debugcon_write(piece); };
  JsonWriter json(sink);
  json.begin_object();
  json.member("event", "power_off");
  json.member("status", status);
  json.member("reason", what);
  json.end_object();
  json.end_line();
  debug_exit(status);
}

}  // namespace

void refuse_to_start(std::string_view what) {
  uart::write("nopte-hv: ");
  uart::write(what);
  uart::write("\n");
  end(kStatusBadInput, what);
}

void report_trap(const TrapFrame& frame) {
  print_register("\nnopte-hv: exception ", frame.vector);
  print_register(" error ", frame.error_code);
  print_register(" cr2 ", cpu::read_cr2());
  print_register("\nrip ", frame.rip);
  print_register(" rsp ", frame.rsp);
  print_register(" rflags ", frame.rflags);
  print_register("\nrax ", frame.rax);
  print_register(" rcx ", frame.rcx);
  print_register(" rdx ", frame.rdx);
  print_register(" rbx ", frame.rbx);
  print_register("\nrsi ", frame.rsi);
  print_register(" rdi ", frame.rdi);
  print_register(" rbp ", frame.rbp);
  print_register(" r8  ", frame.r8);
  print_register("\nr9  ", frame.r9);
  print_register(" r10 ", frame.r10);
  print_register(" r11 ", frame.r11);
  print_register(" r12 ", frame.r12);
  print_register("\nr13 ", frame.r13);
  print_register(" r14 ", frame.r14);
  print_register(" r15 ", frame.r15);
  uart::write("\n");
  print_backtrace(frame.rbp);
  end(kStatusHypervisorBug, "an exception in the hypervisor");
}

}  // namespace nopte::hv

namespace nopte {

void panic(const char* what, const char* file, int line) {
  uart::write("\nnopte-hv: panic: ");
  uart::write(what);
  uart::write(" (");
  uart::write(file);
  char digits[12];
  unsigned at = sizeof(digits);
  do {
    digits[--at] = static_cast<char>('0' + line % 10);
    line /= 10;
  } while (line != 0);
  uart::write(":");
  uart::write({digits + at, sizeof(digits) - at});
  uart::write(")\n");
  hv::print_backtrace(reinterpret_cast<u64>(__builtin_frame_address(0)));
  hv::end(hv::kStatusHypervisorBug, what);
}

}  // namespace nopte
