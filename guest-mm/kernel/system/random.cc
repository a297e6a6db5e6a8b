#include "guest-mm/kernel/system/random.h"

#include <cstring>

namespace nopte::guest {

namespace {

u64 g_state = 42;

u64 next_word() {
  u64 z = g_state += 0x9e37'79b9'7f4a'7c15;
  z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
  return z ^ z >> 31;
}

}  // namespace

void seed_random(u64 seed) { g_state = seed; }

void fill_random(void* to, u64 bytes) {
  auto* out = static_cast<u8*>(to);
  while (bytes != 0) {
    const u64 word = next_word();
    const u64 part = bytes < sizeof(word) ? bytes : sizeof(word);
    std::memcpy(out, &word, part);
    out += part;
    bytes -= part;
  }
}

}  // namespace nopte::guest
