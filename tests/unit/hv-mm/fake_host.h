// A machine for hosted tests of the hypervisor: time is what the test says, interrupts come when asked for.
#pragma once

#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "hv-mm/exits.h"

namespace nopte::hv {

// Thrown by power_off.
struct PoweredOff {
  u8 status;
};

class FakeHost final : public Host {
 public:
  std::string console;
  std::string counters;
  std::deque<u8> input;
  u64 now = 1000;
  u64 deadline = 0;
  bool armed = false;
  u32 raised = 0;
  u64 xcr0 = 1;
  unsigned taken = 0;
  Signals came;
  std::vector<std::pair<Gva, u32>> forgotten;

  void console_write(std::string_view text) override { console += text; }
  std::optional<u8> console_read() override {
    if (input.empty()) {
      return std::nullopt;
    }
    const u8 byte = input.front();
    input.pop_front();
    return byte;
  }
  void counters_write(std::string_view text) override { counters += text, ++now; }
  u64 ticks() override { return now; }
  u64 ns_of_ticks(u64 ticks) override { return ticks; }
  void timer_set(u64 deadline_ns) override { deadline = deadline_ns, armed = true; }
  void timer_cancel() override { armed = false; }
  void take_interrupts() override { ++taken; }
  bool interrupt_waiting() override { return false; }
  void wait_for_interrupt() override {
    if (!armed) {
      throw std::runtime_error("waits for ever");
    }
    now = std::max(now, deadline);
    armed = false;
    raised |= 1;
  }
  u32 raised_interrupts() override { return std::exchange(raised, 0); }
  void forget_page(Gva va, u32 asid) override { forgotten.emplace_back(va, asid); }
  CpuidLeaf cpuid(u32 leaf, u32) override {
    return leaf == 0xd ? CpuidLeaf{7, 0, 0, 0} : CpuidLeaf{leaf, 1, 2, 3};
  }
  Signals signals() override { return std::exchange(came, {}); }
  void set_xcr0(u64 value) override { xcr0 = value; }
  [[noreturn]] void power_off(u8 status) override { throw PoweredOff{status}; }
};

}  // namespace nopte::hv
