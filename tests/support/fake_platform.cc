#include "tests/support/fake_platform.h"

#include "pvops/chosen_ops.h"

namespace nopte::test {

namespace {

FakePlatform* g_platform = nullptr;

constexpr PlatformOps kOps{
    .name = "fake",
    .console_write = [](std::string_view text) { g_platform->console += text; },
    .console_read = []() -> std::optional<u8> {
      if (g_platform->input.empty()) {
        return std::nullopt;
      }
      const u8 byte = g_platform->input.front();
      g_platform->input.pop_front();
      return byte;
    },
    .now_ns = [] { return g_platform->now_ns; },
    .timer_set = [](u64 deadline_ns) { g_platform->timer_ns = deadline_ns; },
    .timer_cancel = [] { g_platform->timer_ns = ~u64{0}; },
    .interrupt_done = [](u8) {},
    .idle =
        [] {
          ++g_platform->idles;
          g_platform->on_idle();
        },
    .power_off = [](u8 status) { throw PowerOff{status}; },
    .mark = [](std::string_view name) { g_platform->marks.emplace_back(name); },
    .boot_wall_ns = [] { return g_platform->boot_wall_ns; },
};

}  // namespace

FakePlatform::FakePlatform() : previous_(g_platform_ops) {
  g_platform = this;
  g_platform_ops = &kOps;
}
FakePlatform::~FakePlatform() {
  g_platform = nullptr;
  g_platform_ops = previous_;
}

}  // namespace nopte::test
