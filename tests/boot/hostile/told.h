// What every interface of a told shadow is tried with: tables that loop, lie outside of memory, are mapped
// writable and freed in use. What is said of them goes through the interface.
#pragma once

#include "tests/boot/hostile/hostile.h"

namespace hostile::told {

struct Told {
  // Says that the entry was written, and flushes; `chance` may vary how.
  void (*tell)(const u64& entry, u64 chance);
  // Says that the page is no table any more.
  void (*release)(u64 address);
};

// What the address of the probes goes through, beside the kernel's own entries.
inline constexpr unsigned kSlot = 1;
inline constexpr u64 kVa = u64{kSlot} << 39;
inline constexpr u64 kPattern = 0x1234'5678'9abc'def0;
extern Page root, level3, level2, level1, data, other;

// Makes them and loads the root.
void make_tables();
void set(const Told& told, Page& table, unsigned slot, u64 value);
// Frames that are none, and reserved bits. Leaves the tables as they were made.
void frames(const Told& told, u64 memory_bytes);
// The guest's tables are its own memory: it may write them however it likes, and sees what they say.
void tables(const Told& told);
// Entries by chance in tables that loop and share, some of them told.
void by_chance(const Told& told, u64 memory_bytes);
// A page comes, is used and goes; the root is given up.
void good_end(const Told& told);

}  // namespace hostile::told
