// One JSON object on one line of bounded length, built in place: what the counters channel carries. Keys are
// literals; text is escaped. A line that would not fit ends early but stays well-formed as far as it goes.
#pragma once

#include <string_view>

#include "pvops/base/digits.h"
#include "pvops/base/types.h"

namespace nopte::pt {

class JsonLine {
 public:
  JsonLine() { add('{'); }

  void number(std::string_view key, u64 value) {
    begin_value(key);
    add(Digits(value).text());
  }
  void text(std::string_view key, std::string_view value) {
    begin_value(key);
    add('"');
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        add('\\');
        add(c);
      } else {
        add(c < ' ' || c > '~' ? '?' : c);
      }
    }
    add('"');
  }
  void open(std::string_view key) {
    begin_value(key);
    add('{');
    first_ = true;
  }
  void close() {
    add('}');
    first_ = false;
  }
  // The whole line with its newline.
  std::string_view finish() {
    add('}');
    add('\n');
    return {buffer_, used_};
  }

 private:
  static constexpr u64 kBytes = 1500;

  void begin_value(std::string_view key) {
    if (!first_) {
      add(',');
    }
    first_ = false;
    add('"');
    add(key);
    add("\":");
  }
  void add(char c) {
    if (used_ < kBytes) {
      buffer_[used_++] = c;
    }
  }
  void add(std::string_view text) {
    for (const char c : text) {
      add(c);
    }
  }

  char buffer_[kBytes];
  u64 used_ = 0;
  bool first_ = true;
};

}  // namespace nopte::pt
