// Single system calls, hosted.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

void unknown_calls_are_counted_not_fatal() {
  UserRegisters& registers = *current().registers;
  for (const u64 number : {u64{511}, u64{512}, ~u64{0} - 1, u64{400}}) {
    registers.orig_rax = number;
    handle_syscall(registers);
    EXPECT_EQ(static_cast<i64>(registers.rax), -kENOSYS) << number;
  }
  registers.orig_rax = 39;
  handle_syscall(registers);
  EXPECT_EQ(registers.rax, static_cast<u64>(current().pid));
}

void reboot_ends_the_machine() {
  constexpr u64 kFirst = 0xfee1'dead, kSecond = 672'274'793, kPowerOff = 0x4321'fedc;
  EXPECT_EQ(call(sys_reboot, kFirst + 1, kSecond, kPowerOff), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond + 1, kPowerOff), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, kPowerOff + 1), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0xd000'fce2 /* suspend */), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0 /* Ctrl-Alt-Del off */), 0);
  u8 unreadable = 0;
  const Gva at{address(unreadable)};
  kernel().arch.bad = {{at, at + 1}};
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0xa1b2'c3d4 /* with a command */, at.value()), -kEFAULT);
  kernel().arch.bad.clear();
  for (const u64 magic : {kSecond, u64{0x0512'1996}, u64{0x1604'1998}, u64{0x2011'2000}}) {
    for (const u64 command : {kPowerOff, u64{0xcdef'0123}, u64{0x0123'4567}, u64{0xa1b2'c3d4}}) {
      // The upper halves mean nothing.
      const u64 above = u64{0xabcd} << 32;
      bool off = false;
      try {
        call(sys_reboot, above | kFirst, above | magic, above | command, address("now"));
      } catch (const test::PowerOff& end) {
        off = end.status == 0;
      }
      EXPECT_TRUE(off) << std::hex << magic << " " << command;
    }
  }
}

}  // namespace

std::span<const Scenario> call_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"unknown calls", unknown_calls_are_counted_not_fatal},
      {"reboot ends the machine", reboot_ends_the_machine},
  };
  return kScenarios;
}

}  // namespace nopte::guest
