// What the guest writes to the counters' port, line by line, with KVM's counters added to each mark.
//
// The guest writes a mark byte by byte, and each byte is an exit. So that a span holds none of them, counters
// are those at the end of the line where a span begins, and its time is moved there; where one ends, those at
// the first byte.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvm_monitor {

struct Counter {
  std::string name;
  uint64_t value = 0;
};

// Every counter of the virtual machine and its processor, by KVM's names, and the monitor's time-stamp
// counter, which runs as fast as the guest's.
struct Counters {
  std::vector<Counter> values;
  uint64_t tsc = 0;
};

class CountersChannel {
 public:
  CountersChannel(std::function<Counters()> read, std::function<void(std::string_view)> write)
      : read_(std::move(read)), write_(std::move(write)) {}

  void put(char byte);

 private:
  std::function<Counters()> read_;
  std::function<void(std::string_view)> write_;
  std::string line_;
  Counters at_first_byte_;
};

// `line`, an event of the guest's, with `counters` in it; as it is when it is no mark. Without its end of
// line.
[[nodiscard]] std::string with_counters(std::string line, const Counters& at_first_byte,
                                        const Counters& at_end);

}  // namespace kvm_monitor
