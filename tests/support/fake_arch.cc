#include "tests/support/fake_arch.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "pvops/base/panic.h"
#include "pvops/mm_ops.h"

namespace nopte::test {

namespace {
FakeArch* g_arch = nullptr;

// Host address of a byte, good to the end of its page.
Result<u8*> resolve(u64 address) {
  if (kWindowRange.contains(Gva(address))) {
    const Result<char*> byte = g_arch->mm.window_byte(Gva(address));
    return byte ? Result<u8*>(reinterpret_cast<u8*>(*byte)) : Fail(byte.error());
  }
  for (const VaRange& range : g_arch->bad) {
    if (range.contains(Gva(address))) {
      return Fail(Status::kBadAddress);
    }
  }
  return reinterpret_cast<u8*>(address);
}

// The bytes up to the next place where the answer may change.
u64 piece_at(u64 address, u64 bytes) {
  u64 piece = std::min(bytes, kPageBytes - (address & kPageMask));
  for (const VaRange& range : g_arch->bad) {
    if (range.begin.value() > address) {
      piece = std::min(piece, range.begin.value() - address);
    }
  }
  return piece;
}

}  // namespace

FakeArch::FakeArch(FakeMmOps& ops) : mm(ops) { g_arch = this; }
FakeArch::~FakeArch() {
  for (const Context& context : contexts_) {
    context.destroy(context.made);
  }
  g_arch = nullptr;
}

// On a stack of its own, since it never comes back: the caller's frames are left and found by swapcontext
// alone.
void FakeArch::run(guest::Thread& first) {
  static guest::Thread* thread;
  static ucontext_t back;
  static ucontext_t boot;
  static std::vector<char> stack(256 << 10);
  thread = &first;
  back_ = &back;
  getcontext(&boot);
  boot.uc_stack.ss_sp = stack.data();
  boot.uc_stack.ss_size = stack.size();
  makecontext(&boot, [] { guest::start_first(*thread); }, 0);
  swapcontext(&back, &boot);
}

void FakeArch::stop() {
  setcontext(static_cast<ucontext_t*>(back_));
  NOPTE_PANIC("nothing to go back to");
}

}  // namespace nopte::test

namespace nopte::guest::arch {

using test::piece_at;
using test::resolve;

Result<void> copy_fallible(void* to, const void* from, u64 bytes) {
  for (u64 done = 0; done < bytes;) {
    const u64 target = reinterpret_cast<u64>(to) + done;
    const u64 source = reinterpret_cast<u64>(from) + done;
    const u64 piece = std::min(piece_at(target, bytes - done), piece_at(source, bytes - done));
    const Result<u8*> t = resolve(target);
    const Result<u8*> s = resolve(source);
    if (!t || !s) {
      return Fail(t ? s.error() : t.error());
    }
    std::memcpy(*t, *s, piece);
    done += piece;
  }
  return {};
}

Result<void> copy_from_user(void* to, Gva from, u64 bytes) {
  return copy_fallible(to, reinterpret_cast<const void*>(from.value()), bytes);
}
Result<void> copy_to_user(Gva to, const void* from, u64 bytes) {
  return copy_fallible(reinterpret_cast<void*>(to.value()), from, bytes);
}
Result<void> zero_user(Gva to, u64 bytes) {
  const std::vector<u8> zeros(bytes);
  return copy_to_user(to, zeros.data(), bytes);
}
Result<u64> copy_string_from_user(char* to, Gva from, u64 capacity) {
  for (u64 at = 0; at < capacity; ++at) {
    NOPTE_TRY(copy_from_user(to + at, from + at, 1));
    if (to[at] == 0) {
      return at;
    }
  }
  return Fail(Status::kLimit);
}

CallSites call_sites() { return {}; }

// Contexts are the host's, each with a stack of its own: what the kernel calls the stack's end only holds the
// user registers.
namespace {

struct HostContext {
  ucontext_t context;
  std::vector<char> stack;
  void (*entry)(void*);
  void* argument;
};
HostContext* g_starting = nullptr;

void start_context() {
  HostContext& self = *std::exchange(g_starting, nullptr);
  self.entry(self.argument);
}

}  // namespace

void prepare_context(KernelContext& context, Gva, void (*entry)(void*), void* argument) {
  constexpr u64 kStackBytes = 256 << 10;
  auto host = std::make_unique<HostContext>();
  getcontext(&host->context);
  host->stack.resize(kStackBytes);
  host->context.uc_stack.ss_sp = host->stack.data();
  host->context.uc_stack.ss_size = kStackBytes;
  host->entry = entry;
  host->argument = argument;
  makecontext(&host->context, start_context, 0);
  context.stack_pointer = reinterpret_cast<u64>(host.get());
  test::g_arch->contexts_.push_back(
      {host.release(), [](void* made) { delete static_cast<HostContext*>(made); }});
}
void switch_context(KernelContext& from, const KernelContext& to, Gva) {
  auto* next = reinterpret_cast<HostContext*>(to.stack_pointer);
  if (from.stack_pointer == 0) {  // the boot stack, which is abandoned
    auto* boot = new HostContext;
    from.stack_pointer = reinterpret_cast<u64>(boot);
    test::g_arch->contexts_.push_back({boot, [](void* made) { delete static_cast<HostContext*>(made); }});
  }
  g_starting = next;
  swapcontext(&reinterpret_cast<HostContext*>(from.stack_pointer)->context, &next->context);
}
UserRegisters& user_registers(Gva stack_top) {
  return *reinterpret_cast<UserRegisters*>(stack_top.value() - sizeof(UserRegisters));
}
[[noreturn]] void return_to_user(UserRegisters& registers) {
  test::g_arch->user(registers);
  NOPTE_PANIC("a program came back from user mode");
}
void init_user_registers(UserRegisters&, Gva, Gva) {}
void init_fpu(FpuState&) {}
void save_fpu(FpuState&) {}
bool restore_fpu(FpuState&) { return true; }
void load_initial_fpu() {}
void set_fs_base(u64) {}
u64 fs_base() { return 0; }
bool set_time_stamps_fault(KernelContext&, bool fault) { return !fault; }
bool set_gs_base(u64) { return false; }
u64 gs_base() { return 0; }

}  // namespace nopte::guest::arch
