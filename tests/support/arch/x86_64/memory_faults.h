// This process as a guest: loads and stores that the protection of its own pages refuses come as a page fault
// comes to a hypervisor, with the registers of the instruction, and go on with what is in them afterwards.
//
// Works beside the sanitizers' own handlers, which get what nobody here wants. One thread. What faults must
// hold nothing that the taker needs: a lock of the heap, a container in the middle of a change.
#pragma once

#include <ucontext.h>

#include <csignal>
#include <cstdlib>

#include "pvops/base/panic.h"
#include "pvops/base/types.h"

namespace nopte {

struct MemoryFault {
  u64 address;
  bool write;
  u64 registers[16];  // by their numbers in instructions
  u64 rip, rflags;
};

class MemoryFaultTaker {
 public:
  // False: not this one's. Otherwise the process goes on at rip.
  virtual bool take(MemoryFault& fault) = 0;

 protected:
  ~MemoryFaultTaker() = default;
};

// While it lives, faults go to this taker. The innermost takes first.
class MemoryFaultScope {
 public:
  explicit MemoryFaultScope(MemoryFaultTaker& taker) : taker_(taker), outer_(innermost_) {
    innermost_ = this;
    if (outer_ != nullptr) return;
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    NOPTE_ASSERT(sigaction(SIGSEGV, &action, &before_) == 0);
  }
  ~MemoryFaultScope() {
    NOPTE_ASSERT(innermost_ == this);
    innermost_ = outer_;
    if (outer_ == nullptr) sigaction(SIGSEGV, &before_, nullptr);
  }
  MemoryFaultScope(const MemoryFaultScope&) = delete;
  MemoryFaultScope& operator=(const MemoryFaultScope&) = delete;

 private:
  static constexpr int kPlaces[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                      REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

  static void on_signal(int, siginfo_t* info, void* context) {
    constexpr greg_t kPageFault = 14, kWrite = 2;
    greg_t* const saved = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    MemoryFault fault{.address = reinterpret_cast<u64>(info->si_addr),
                      .write = (saved[REG_ERR] & kWrite) != 0,
                      .registers = {},
                      .rip = static_cast<u64>(saved[REG_RIP]),
                      .rflags = static_cast<u64>(saved[REG_EFL])};
    for (int i = 0; i < 16; ++i) fault.registers[i] = static_cast<u64>(saved[kPlaces[i]]);
    const bool page_fault = saved[REG_TRAPNO] == kPageFault;
    for (MemoryFaultScope* at = innermost_; page_fault && at != nullptr; at = at->outer_) {
      if (!at->taker_.take(fault)) continue;
      for (int i = 0; i < 16; ++i) saved[kPlaces[i]] = static_cast<greg_t>(fault.registers[i]);
      saved[REG_RIP] = static_cast<greg_t>(fault.rip);
      saved[REG_EFL] = static_cast<greg_t>(fault.rflags);
      return;
    }
    // A bug: the access is tried again, and reported as it would have been.
    sigaction(SIGSEGV, &before_, nullptr);
  }

  inline static MemoryFaultScope* innermost_ = nullptr;
  inline static struct sigaction before_;
  MemoryFaultTaker& taker_;
  MemoryFaultScope* outer_;
};

}  // namespace nopte
