#include "guest-mm/kernel/log.h"

#include "pvops/platform_ops.h"

namespace nopte::guest::log_detail {

namespace {
void put_number(u64 value, u32 base) {
  char digits[20];
  char* first = digits + sizeof(digits);
  do {
    *--first = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  put(std::string_view(first, static_cast<std::size_t>(digits + sizeof(digits) - first)));
}
}  // namespace

// Gathered up to the end of the line: under a hypervisor every write is an exit.
void put(std::string_view text) {
  static char line[256];
  static std::size_t used = 0;
  for (const char c : text) {
    line[used++] = c;
    if (c == '\n' || used == sizeof line) {
      platform_ops().console_write({line, used});
      used = 0;
    }
  }
}
void put(u64 value) { put_number(value, 10); }
void put(Hex value) {
  put(std::string_view("0x"));
  put_number(value.value, 16);
}

}  // namespace nopte::guest::log_detail
