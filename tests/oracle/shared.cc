// What was seen, as text.
#include <errno.h>

#include "tests/oracle/operations.h"

namespace oracle {

void die(std::string_view what, std::string_view which) {
  printf("oracle_player: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
         static_cast<int>(which.size()), which.data());
  exit(2);
}

void Shared::reset() {
  turn = 0;
  used = 0;
  for (Actor& actor : actors) actor = {};
  actors[0].alive = true;
}

void Shared::begin(int at) { add("\n%d", at); }

void Shared::add(const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int written = vsnprintf(text + used, sizeof(text) - used, format, values);
  va_end(values);
  used = used + static_cast<size_t>(written) < sizeof(text) ? used + static_cast<size_t>(written)
                                                            : sizeof(text) - 1;
}

void Shared::add_address(int64_t address) {
  const int64_t offset = address - kArenaBase;
  if (offset < -kPage || offset > (kArenaPages + 64) * kPage) {
    add(" elsewhere");
  } else {
    add(" @%ld+%ld", offset >> 12, offset & (kPage - 1));
  }
}

void Shared::add_result(int64_t result) {
  if (result < 0 && result >= -4095) {
    add(" %s", strerrorname_np(static_cast<int>(-result)));
  } else if (result > kArenaBase / 2) {
    add_address(result);
  } else {
    add(" %ld", result);
  }
}

void Shared::print(std::string_view name, bool trace) const {
  const std::string_view all(text, used);
  if (!trace) {
    uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const char byte : all) hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211u;
    printf("%.*s %016lx\n", static_cast<int>(name.size()), name.data(), hash);
    return;
  }
  printf("= %.*s%.*s\n", static_cast<int>(name.size()), name.data(), static_cast<int>(used), text);
}

}  // namespace oracle
