#include "guest-mm/kernel/random.h"

#include <cstring>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/syscall.h"

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

i64 sys_getrandom(const SyscallArgs& args) {
  constexpr u64 kNonBlock = 1, kRandom = 2, kInsecure = 4;
  const u64 flags = args.a2 & 0xffff'ffff;
  if ((flags & ~(kNonBlock | kRandom | kInsecure)) != 0 ||
      (flags & kRandom) + (flags & kInsecure) == (kRandom | kInsecure)) {
    return -kEINVAL;
  }
  constexpr u64 kMost = 32 << 20;  // as Linux
  const u64 bytes = args.a1 < kMost ? args.a1 : kMost;
  u8 buffer[256];
  for (u64 done = 0; done < bytes;) {
    const u64 part = bytes - done < sizeof(buffer) ? bytes - done : sizeof(buffer);
    fill_random(buffer, part);
    if (!arch::copy_to_user(Gva{args.a0 + done}, buffer, part)) {
      return done != 0 ? static_cast<i64>(done) : -kEFAULT;
    }
    done += part;
  }
  return static_cast<i64>(bytes);
}

}  // namespace nopte::guest
