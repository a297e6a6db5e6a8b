// memcpy, memmove, memset, memcmp, memchr, strlen: what the compiler calls and library headers expect. Large
// spans move by rep movsq / rep stosq, which count one instruction per eight bytes; ends shorter than a word
// overlap instead of looping.
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/base/types.h"

// Otherwise the loops below would be compiled into calls of themselves.
#pragma GCC optimize("no-tree-loop-distribute-patterns")

namespace {

using nopte::u16;
using nopte::u32;
using nopte::u64;
using nopte::u8;

template <class T>
struct [[gnu::packed, gnu::may_alias]] Unaligned {
  T value;
};
template <class T>
T load(const void* from) {
  return static_cast<const Unaligned<T>*>(from)->value;
}
template <class T>
void store(void* to, T value) {
  static_cast<Unaligned<T>*>(to)->value = value;
}

// Copies bytes < 8, both ends loaded before either is stored.
[[gnu::always_inline]] inline void move_short(u8* to, const u8* from, u64 bytes) {
  if (bytes >= 4) {
    const u32 head = load<u32>(from), tail = load<u32>(from + bytes - 4);
    store(to, head);
    store(to + bytes - 4, tail);
  } else if (bytes >= 2) {
    const u16 head = load<u16>(from), tail = load<u16>(from + bytes - 2);
    store(to, head);
    store(to + bytes - 2, tail);
  } else if (bytes == 1) {
    *to = *from;
  }
}

// Upwards; the last word is read first, because a lower destination may overwrite it.
[[gnu::always_inline]] inline void move_up(u8* to, const u8* from, u64 bytes) {
  const u64 tail = load<u64>(from + bytes - 8);
  nopte::cpu::rep_movsq(to, from, bytes / 8);
  store(to + bytes - 8, tail);
}

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, std::size_t bytes) {
  auto* t = static_cast<u8*>(to);
  const auto* f = static_cast<const u8*>(from);
  if (bytes < 8) {
    move_short(t, f, bytes);
  } else {
    move_up(t, f, bytes);
  }
  return to;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
  auto* t = static_cast<u8*>(to);
  const auto* f = static_cast<const u8*>(from);
  if (bytes < 8) {
    move_short(t, f, bytes);
  } else if (reinterpret_cast<u64>(t) - reinterpret_cast<u64>(f) >= bytes) {
    move_up(t, f, bytes);
  } else {
    const u64 head = load<u64>(f);
    for (u64 left = bytes; left >= 8; left -= 8) {
      store(t + left - 8, load<u64>(f + left - 8));
    }
    store(t, head);
  }
  return to;
}

void* memset(void* to, int value, std::size_t bytes) {
  auto* t = static_cast<u8*>(to);
  const u64 word = 0x0101'0101'0101'0101 * static_cast<u8>(value);
  if (bytes >= 8) {
    nopte::cpu::rep_stosq(t, word, bytes / 8);
    store(t + bytes - 8, word);
  } else if (bytes >= 4) {
    store(t, static_cast<u32>(word));
    store(t + bytes - 4, static_cast<u32>(word));
  } else {
    for (u64 i = 0; i < bytes; ++i) {
      t[i] = static_cast<u8>(value);
    }
  }
  return to;
}

int memcmp(const void* left, const void* right, std::size_t bytes) {
  const auto* l = static_cast<const u8*>(left);
  const auto* r = static_cast<const u8*>(right);
  u64 i = 0;
  for (; i + 8 <= bytes; i += 8) {
    const u64 a = __builtin_bswap64(load<u64>(l + i)), b = __builtin_bswap64(load<u64>(r + i));
    if (a != b) {
      return a < b ? -1 : 1;
    }
  }
  for (; i < bytes; ++i) {
    if (l[i] != r[i]) {
      return l[i] < r[i] ? -1 : 1;
    }
  }
  return 0;
}

void* memchr(const void* text, int value, std::size_t bytes) {
  const auto* t = static_cast<const u8*>(text);
  for (u64 i = 0; i < bytes; ++i) {
    if (t[i] == static_cast<u8>(value)) {
      return const_cast<u8*>(t + i);
    }
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != 0) {
    ++length;
  }
  return length;
}

}  // extern "C"
