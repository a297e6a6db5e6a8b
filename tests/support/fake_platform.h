// A fake of PlatformOps for hosted tests: a clock that stands still, a timer that is only remembered, a
// console that is a string, input from a queue, and a power-off that is an exception.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "pvops/platform_ops.h"

namespace nopte::test {

struct PowerOff {
  u8 status;
};

class FakePlatform {
 public:
  FakePlatform();
  ~FakePlatform();
  FakePlatform(const FakePlatform&) = delete;
  FakePlatform& operator=(const FakePlatform&) = delete;

  u64 now_ns = 0;
  u64 boot_wall_ns = 1'700'000'000'000'000'000;
  std::string console;
  std::deque<u8> input;
  std::vector<std::string> marks;
  u64 timer_ns = ~u64{0};  // the deadline set last
  u64 idles = 0;           // calls of idle()
  std::function<void()> on_idle = [] {};

 private:
  const PlatformOps* previous_;
};

}  // namespace nopte::test
