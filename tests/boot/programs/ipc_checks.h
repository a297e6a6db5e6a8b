// What the tests of System V's inter-process communication share.
#pragma once

#include <fcntl.h>

#include <string>

#include "tests/boot/programs/memory_checks.h"

inline constexpr int kNewKey = 0x4e6f7074;

inline std::string text_of(const char* path) {
  std::string text(1 << 16, 0);
  const int file = open(path, O_RDONLY);
  CHECK(file >= 0);
  size_t used = 0;
  for (ssize_t bytes = 0; (bytes = read(file, text.data() + used, text.size() - used)) > 0;) {
    used += size_t(bytes);
    text.resize(used + (1 << 16));
  }
  CHECK(close(file) == 0);
  text.resize(used);
  return text;
}
// The numbers of the line of /proc/sysvipc/... that is about the id, its rights as they stand there.
inline std::string line_of(const char* path, int id) {
  const std::string text = text_of(path);
  for (size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1) {
    int key = 0;
    int found = 0;
    CHECK(sscanf(text.c_str() + at, "%d %d", &key, &found) == 2);
    if (found == id) return text.substr(at, text.find('\n', at) - at);
  }
  return {};
}
inline std::string head_of(const char* path) {
  const std::string text = text_of(path);
  return text.substr(0, text.find('\n'));
}
