// Ending on our own bugs. Each image and the hosted build define panic() once.
#pragma once

namespace nopte {

// Prints `what` with the place it came from and stops: registers and a backtrace in a kernel image,
// abort() hosted. Never reached by anything that a guest (in the hypervisor) or a program (in the
// guest kernel) can pass.
[[noreturn]] void panic(const char* what, const char* file, int line);

}  // namespace nopte

// For invariants of our own code only; kept in every build, they are cheap beside a page fault.
#define NOPTE_ASSERT(condition) \
  (static_cast<bool>(condition) ? void(0) : ::nopte::panic(#condition, __FILE__, __LINE__))
#define NOPTE_PANIC(what) ::nopte::panic((what), __FILE__, __LINE__)
