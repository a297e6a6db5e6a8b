// A fake of guest-mm/kernel/arch.h for hosted tests: fallible copies between host memory, fake user memory
// and the kernel windows of a FakeMmOps; kernel contexts on stacks of the host, so that processes really
// switch. What a program would do is user().
#pragma once

#include <functional>
#include <vector>

#include "guest-mm/kernel/arch.h"
#include "pvops/base/addr.h"
#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
struct Thread;
}

namespace nopte::test {

// While it lives, copies reach the windows of `mm`, and addresses in `bad` (host memory that plays the
// program's) fail.
class FakeArch {
 public:
  explicit FakeArch(FakeMmOps& mm);
  ~FakeArch();
  FakeArch(const FakeArch&) = delete;
  FakeArch& operator=(const FakeArch&) = delete;

  // Runs the kernel from this first process on, until some process calls stop(). What lies on the stacks of
  // the processes then is abandoned.
  void run(guest::Thread& first);
  [[noreturn]] void stop();

  std::vector<VaRange> bad;
  FakeMmOps& mm;
  // A process goes to user mode; must not return.
  std::function<void(guest::UserRegisters&)> user = [](guest::UserRegisters&) {};

  struct Context {
    void* made;
    void (*destroy)(void*);
  };
  std::vector<Context> contexts_;

 private:
  void* back_ = nullptr;
};

}  // namespace nopte::test
