#include "experiments/peers/kvm_monitor/counters_channel.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace kvm_monitor {
namespace {

// Exits that are not of memory. What is left are page faults, and instructions that control paging.
constexpr std::array<std::string_view, 5> kPlatform = {"io_exits", "irq_exits", "irq_window_exits",
                                                       "nmi_window_exits", "halt_exits"};

std::string field(std::string_view name, uint64_t value) {
  return '"' + std::string(name) + "\":" + std::to_string(value);
}

std::string exits(const Counters& counters) {
  uint64_t all = 0;
  uint64_t platform = 0;
  std::string by_name;
  for (const auto& [name, value] : counters.values) {
    if (name == "exits") all = value;
    if (std::ranges::find(kPlatform, name) != kPlatform.end()) platform += value;
    if (value != 0) by_name += (by_name.empty() ? "" : ",") + field(name, value);
  }
  return field("exits_memory", all - platform) + "," + field("exits_platform", platform) + ",\"kvm\":{" +
         by_name + "}";
}

// The number after "tsc": grows by `ticks`.
void move_time(std::string& line, uint64_t ticks) {
  constexpr std::string_view kKey = "\"tsc\":";
  const size_t at = line.find(kKey);
  if (at == std::string::npos) return;
  const size_t begin = at + kKey.size();
  const size_t end = std::min(line.find_first_not_of("0123456789", begin), line.size());
  uint64_t tsc = 0;
  std::from_chars(&line[begin], line.data() + end, tsc);
  line.replace(begin, end - begin, std::to_string(tsc + ticks));
}

}  // namespace

std::string with_counters(std::string line, const Counters& at_first_byte, const Counters& at_end) {
  constexpr std::string_view kEmpty = "\"counters\":{}}";
  if (!line.ends_with("}}")) return line;
  const bool begins = line.find("\"text\":\"begin ") != std::string::npos;
  const Counters& counters = begins ? at_end : at_first_byte;
  if (begins) move_time(line, at_end.tsc - at_first_byte.tsc);
  const std::string added = (line.ends_with(kEmpty) ? "" : ",") + exits(counters);
  line.insert(line.size() - 2, added);
  return line;
}

void CountersChannel::put(char byte) {
  if (line_.empty()) at_first_byte_ = read_();
  if (byte != '\n') {
    line_ += byte;
    return;
  }
  write_(with_counters(std::move(line_), at_first_byte_, read_()) + '\n');
  line_.clear();
}

}  // namespace kvm_monitor
