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
  EXPECT_EQ(registers.rax, static_cast<u64>(current_process().pid));
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

// A call with a time, interrupted by a signal without a handler halfway: it ends when it would have ended.
template <class Call>
void ends_in_time(Call begin, i64 result) {
  constexpr u64 kWholeNs = 40'000'000;
  Process& self = current_process();
  const u64 began_ns = kernel().platform.now_ns;
  kernel().spawn([&self] {
    EXPECT_EQ(sleep_until(kernel().platform.now_ns + kWholeNs / 2), WakeReason::kTimeout);
    (*self.signals.actions)[kSIGUSR1].handler = SignalAction::kDefault;
    send_signal(self, kSIGUSR1);
    return 0;
  });
  EXPECT_EQ(begin(), -kERESTART_RESTARTBLOCK);
  EXPECT_EQ(kernel().platform.now_ns, began_ns + kWholeNs / 2);
  forget_signals();
  EXPECT_EQ(call(sys_restart_syscall), result);
  EXPECT_EQ(kernel().platform.now_ns, began_ns + kWholeNs);
  Kernel::wait_all();
}

void interrupted_calls_end_in_time() {
  EXPECT_EQ(call(sys_restart_syscall), -kEINTR);
  const u64 time[2] = {0, 40'000'000};
  const u32 word[1] = {5};
  constexpr u64 kPrivateWait = 128;
  ends_in_time([&] { return call(sys_nanosleep, address(time)); }, 0);
  ends_in_time([&] { return call(sys_futex, address(word), kPrivateWait, 5, address(time)); }, -kETIMEDOUT);
  ends_in_time([&] { return call(sys_poll, 0, 0, 40); }, 0);
}

// select tells what is left of its time, so that it can be made again.
void select_tells_the_rest() {
  u64 time[2] = {1, 500'000};
  kernel().spawn([&self = current_process()] {
    EXPECT_EQ(sleep_until(kernel().platform.now_ns + 700'000'000), WakeReason::kTimeout);
    send_signal(self, kSIGUSR1);
    return 0;
  });
  EXPECT_EQ(call(sys_select, 0, 0, 0, 0, address(time)), -kERESTARTNOHAND);
  EXPECT_EQ(time[0], 0u);
  EXPECT_EQ(time[1], 800'000u);
  forget_signals();
  EXPECT_EQ(call(sys_select, 0, 0, 0, 0, address(time)), 0);
  EXPECT_EQ(time[0], 0u);
  EXPECT_EQ(time[1], 0u);
  Kernel::wait_all();
}

}  // namespace

std::span<const Scenario> call_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"unknown calls", unknown_calls_are_counted_not_fatal},
      {"reboot ends the machine", reboot_ends_the_machine},
      {"interrupted calls end in time", interrupted_calls_end_in_time},
      {"select tells the rest", select_tells_the_rest},
  };
  return kScenarios;
}

}  // namespace nopte::guest
