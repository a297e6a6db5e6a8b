// Accesses that may fault: each keeps where to go on in r11, and its stack in r10, for the handler.
#include <ucontext.h>

#include "tests/oracle/operations.h"

namespace oracle {
namespace {

// One actor runs at a time; threads have this in common, forked processes each their own.
Access met;
bool guarded;

void on_fault(int number, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (!guarded) {
    shared->add(" the player faulted: signal %d at %lx, %llx", number, address_of(info->si_addr),
                registers[REG_RIP]);
    __atomic_store_n(&shared->turn, kMostOperations, __ATOMIC_SEQ_CST);
    call(SYS_exit_group, 99);
  }
  met = {number, info->si_code, address_of(info->si_addr), 0};
  registers[REG_RIP] = registers[REG_R11];
  registers[REG_RSP] = registers[REG_R10];
}

void on_signal(int number, siginfo_t* info, void* /*context*/) {
  shared->add(" caught %d code %d", number, info->si_code);
}

}  // namespace

void install_handlers() {
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  action.sa_sigaction = on_fault;
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE}) sigaction(number, &action, nullptr);
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = on_signal;
  for (const int number : {SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE}) sigaction(number, &action, nullptr);
}

// The value is only good when nothing was met.
#define NOPTE_GUARDED(instruction, ...)                                                     \
  met = {};                                                                                 \
  guarded = true;                                                                           \
  asm volatile("lea 1f(%%rip), %%r11\n mov %%rsp, %%r10\n" instruction "\n1:" __VA_ARGS__); \
  guarded = false

Access load(int64_t address) {
  uint64_t value = 0;
  NOPTE_GUARDED("movzbl (%1), %k0", : "+r"(value) : "r"(address) : "r10", "r11", "memory", "cc");
  met.value = met.signal == 0 ? static_cast<uint8_t>(value) : 0;
  return met;
}

Access store(int64_t address, uint8_t value) {
  NOPTE_GUARDED("movb %b0, (%1)", : : "q"(value), "r"(address) : "r10", "r11", "memory", "cc");
  return met;
}

Access execute(int64_t address) {
  NOPTE_GUARDED("sub $256, %%rsp\n call *%0\n mov %%r10, %%rsp", : : "r"(address) : "r10", "r11", "memory",
                "cc");
  // A jump's own fault leaves before the stack is put back: the handler did.
  return met;
}

}  // namespace oracle
