// Runs the scenarios of the kernel of processes.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

void run_all() {
  for (const auto scenarios : {scheduling_scenarios(), family_scenarios(), signal_scenarios(),
                               call_scenarios(), madvise_scenarios(), thread_scenarios()}) {
    for (const Scenario& scenario : scenarios) {
      SCOPED_TRACE(scenario.name);
      scenario.run();
      EXPECT_EQ(thread_count(), 1u);
    }
  }
}

TEST(KernelTest, Scenarios) {
  Kernel instance;
  Process& first = instance.make(
      [] {
        run_all();
        kernel().arch.stop();
        return 0;
      },
      nullptr);
  instance.arch.run(first.leader());
  g_current = nullptr;
}

}  // namespace
}  // namespace nopte::guest
