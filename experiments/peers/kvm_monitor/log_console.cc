#include "experiments/peers/kvm_monitor/log_console.h"

namespace kvm_monitor {
namespace {

constexpr uint16_t kData = 0;
constexpr uint16_t kLineControl = 3;
constexpr uint16_t kLineStatus = 5;
constexpr uint8_t kTransmitterEmpty = 0x60;
constexpr uint8_t kDivisor = 0x80;

// What a mark may be: printable, and nothing that ends a JSON string.
bool is_mark(std::string_view line) {
  if (!line.starts_with("begin ") && !line.starts_with("end ")) return false;
  for (const char c : line) {
    if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
  }
  return true;
}

}  // namespace

uint8_t LogConsole::read(uint16_t index) { return index == kLineStatus ? kTransmitterEmpty : 0xff; }

void LogConsole::write(uint16_t index, uint8_t value) {
  if (index == kLineControl) line_control_ = value;
  if (index != kData || (line_control_ & kDivisor) != 0 || value == '\r') return;
  if (value == '\n') {
    finish_line();
    return;
  }
  if (line_.empty()) at_first_byte_ = read_();
  line_ += static_cast<char>(value);
}

void LogConsole::finish_line() {
  if (is_mark(line_)) {
    const std::string event = "{\"event\":\"mark\",\"text\":\"" + line_ +
                              "\",\"tsc\":" + std::to_string(at_first_byte_.tsc) +
                              ",\"idle_ns\":0,\"counters\":{}}";
    write_(with_counters(event, at_first_byte_, read_()) + '\n');
  }
  line_.clear();
}

}  // namespace kvm_monitor
