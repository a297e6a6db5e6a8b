// Signals on the way to user mode, and what they interrupt, hosted.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

void handlers_get_a_frame_and_return() {
  static u8 stack[16384];
  Thread& self = current();
  UserRegisters& registers = *self.registers;
  const UserRegisters before = {.r15 = 15,
                                .r14 = 14,
                                .r13 = 13,
                                .r12 = 12,
                                .rbp = 1,
                                .rbx = 2,
                                .r11 = 11,
                                .r10 = 10,
                                .r9 = 9,
                                .r8 = 8,
                                .rax = 3,
                                .rcx = 4,
                                .rdx = 5,
                                .rsi = 6,
                                .rdi = 7,
                                .orig_rax = ~u64{0},
                                .rip = 0x40'1000,
                                .cs = 0x33,
                                .rflags = 0x246,
                                .rsp = address(stack) + sizeof stack,
                                .ss = 0x2b};
  registers = before;
  SignalAction& action = (*self.process->signals.actions)[kSIGUSR1];
  action = {.handler = 0x40'2000,
            .flags = kSaSiginfo | kSaRestorer,
            .restorer = 0x40'3000,
            .mask = signal_bit(kSIGUSR2)};
  send_signal(*self.process, kSIGUSR1, SignalInfo{.code = kSiUser, .pid = 42, .value = 0});
  leave_kernel(registers);
  EXPECT_EQ(registers.rip, action.handler);
  EXPECT_EQ(registers.rdi, static_cast<u64>(kSIGUSR1));
  EXPECT_EQ(registers.rsp % 16, 8u);
  EXPECT_LE(registers.rsp + sizeof(SignalFrame), before.rsp - 128);
  EXPECT_EQ(self.signals.blocked, signal_bit(kSIGUSR1) | signal_bit(kSIGUSR2));
  const auto& frame = *reinterpret_cast<const SignalFrame*>(registers.rsp);
  EXPECT_EQ(frame.return_address, action.restorer);
  EXPECT_EQ(registers.rsi, address(frame.info));
  EXPECT_EQ(registers.rdx, address(frame.context));
  EXPECT_EQ(frame.info.signal, kSIGUSR1);
  EXPECT_EQ(frame.info.from.pid, 42);
  EXPECT_EQ(frame.context.machine.rip, before.rip);
  EXPECT_EQ(frame.context.machine.fpu_state % 64, 0u);

  registers.rsp += 8;  // the handler returned to the restorer
  registers.rflags = 0x202;
  EXPECT_EQ(call(sys_rt_sigreturn), 3);
  EXPECT_EQ(std::memcmp(&registers, &before, sizeof before), 0);
  EXPECT_EQ(self.signals.blocked, 0u);
  action = {};
}

void interrupted_calls_are_settled() {
  static u8 stack[16384];
  Thread& self = current();
  UserRegisters& registers = *self.registers;
  SignalAction& action = (*self.process->signals.actions)[kSIGUSR1];
  const auto settle = [&](i64 result, bool handler, u64 flags) {
    registers = {};
    registers.rip = 0x40'1000;
    registers.rsp = address(stack) + sizeof stack;
    registers.orig_rax = 61;
    registers.rax = static_cast<u64>(result);
    action = {};
    // Without a handler: a signal that stops nothing and ends nothing once it is delivered.
    if (handler) {
      action = {.handler = 0x40'2000, .flags = flags | kSaRestorer, .restorer = 0x40'3000, .mask = 0};
    }
    const i32 signal = handler ? kSIGUSR1 : kSIGURG;
    self.signals.pending.set |= signal_bit(signal);
    self.signals.pending.info[signal - 1] = {};
    refresh_signals(self);
    leave_kernel(registers);
    set_blocked_signals(self, 0);
    if (!handler) {
      return std::to_string(registers.rax) + (registers.rip == 0x40'0ffe ? " again" : "");
    }
    const auto& frame = *reinterpret_cast<const SignalFrame*>(registers.rsp);
    const auto rax = static_cast<i64>(frame.context.machine.rax);
    return std::to_string(rax) + (frame.context.machine.rip == 0x40'0ffe ? " again" : "");
  };
  const std::string interrupted = std::to_string(-kEINTR);
  EXPECT_EQ(settle(-kERESTARTSYS, false, 0), "61 again");
  EXPECT_EQ(settle(-kERESTARTSYS, true, kSaRestart), "61 again");
  EXPECT_EQ(settle(-kERESTARTSYS, true, 0), interrupted);
  EXPECT_EQ(settle(-kERESTARTNOHAND, false, 0), "61 again");
  EXPECT_EQ(settle(-kERESTARTNOHAND, true, kSaRestart), interrupted);
  EXPECT_EQ(settle(-kERESTART_RESTARTBLOCK, false, 0), "219 again");
  EXPECT_EQ(settle(-kERESTART_RESTARTBLOCK, true, kSaRestart), interrupted);
  EXPECT_EQ(settle(5, false, 0), "5");
  action = {};
}

void timers_raise_sigalrm() {
  Thread& self = current();
  EXPECT_EQ(call(sys_alarm, 2), 0);
  EXPECT_EQ(call(sys_alarm, 5), 2);
  EXPECT_EQ(sleep_until(kernel().platform.now_ns + 60'000'000'000), WakeReason::kSignal);
  EXPECT_EQ(self.process->signals.pending.set, signal_bit(kSIGALRM));
  EXPECT_EQ(call(sys_alarm, 0), 0);
  forget_signals();
}

}  // namespace

std::span<const Scenario> signal_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"handlers get a frame and return", handlers_get_a_frame_and_return},
      {"interrupted calls are settled", interrupted_calls_are_settled},
      {"timers raise SIGALRM", timers_raise_sigalrm},
  };
  return kScenarios;
}

}  // namespace nopte::guest
