#include "tests/boot/hostile/told.h"

namespace hostile::told {
namespace {

constexpr unsigned kSelf = 2;  // a root entry that is the root
constexpr u64 kLoop =
    (u64{kSelf} << 39 | u64{kSelf} << 30 | u64{kSelf} << 21 | u64{kSelf} << 12) + kSelf * sizeof(u64);

}  // namespace

Page root, level3, level2, level1, data, other;

void make_tables() {
  for (unsigned slot = 0; slot < 512; ++slot) root.words[slot] = hostile_root[slot];
  root.words[kSlot] = physical(&level3) | kEverything;
  root.words[kSelf] = physical(&root) | kEverything;
  level3.words[0] = physical(&level2) | kEverything;
  level2.words[0] = physical(&level1) | kEverything;
  level1.words[0] = physical(&data) | kEverything;
  data.words[0] = kPattern;
  check("a root that is well made", "", kCompleted, load_cr3(physical(&root)));
  check("its page", "", kCompleted, load(kVa));
}

void set(const Told& told, Page& table, unsigned slot, u64 value) {
  table.words[slot] = value;
  told.tell(table.words[slot], 0);
}

void frames(const Told& told, u64 memory_bytes) {
  for (const u64 foreign : {memory_bytes, memory_bytes + 0x10'0000, u64{1} << 38}) {
    set(told, level1, 0, foreign | kEverything);
    check("a page that is not there", "", kGeneralProtection, load(kVa));
    set(told, level2, 0, foreign | kEverything);
    check("a table that is not there", "", kGeneralProtection, load(kVa));
    set(told, level2, 0, physical(&level1) | kEverything);
    check("a root that is not there", "", kGeneralProtection, load_cr3(foreign));
  }
  set(told, level1, 0, u64{1} << 51 | kEverything);
  check("reserved bits", "", kPageFault, load(kVa));
  check("reserved bits: error code", "", 9, last_error_code());
  set(told, level2, 0, 0x2000 | kLarge | kEverything);
  check("a large leaf that is misplaced", "", kPageFault, load(kVa));
  check("a large leaf that is misplaced: error code", "", 9, last_error_code());
  // All of 1 GiB, of which the guest has less.
  set(told, level3, 0, kLarge | kEverything);
  check("a giant leaf", "", kCompleted, load(kVa));
  check("a giant leaf past the end", "", kGeneralProtection, load(kVa + memory_bytes));
  set(told, level3, 0, physical(&level2) | kEverything);
  set(told, level2, 0, physical(&level1) | kEverything);
  set(told, level1, 0, physical(&data) | kEverything);
}

void tables(const Told& told) {
  set(told, level1, 1, physical(&level1) | kEverything);
  check("a table that is mapped writable", "", kCompleted,
        store(kVa + kPageBytes + 2 * sizeof(u64), physical(&data) | kEverything));
  check("what was written there", "", kCompleted, load(kVa + 2 * kPageBytes));
  check("a root that maps itself", "", kCompleted, load(kLoop));
  check("what it maps there", "", root.words[kSelf], *reinterpret_cast<const u64*>(kLoop));
  for (const Page* table : {&level1, &level2, &level3, &root}) {
    told.release(physical(table));
    check("what a table in use maps, released", "", kCompleted, load(kVa));
    check("what is there", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  }
}

void by_chance(const Told& told, u64 memory_bytes) {
  static Page* const kTables[] = {&level3, &level2, &level1, &other};
  u64 state = 2007;
  const auto pick = [&state](u64 below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % below;
  };
  for (unsigned step = 0; step < 3000; ++step) {
    Page& table = *kTables[pick(4)];
    const u64 slot = pick(8);
    u64 value = pick(4) == 0 ? pick(2 * memory_bytes) : physical(kTables[pick(4)]) | kEverything;
    if (pick(8) == 0) value |= kLarge;
    table.words[slot] = value;
    if (pick(4) != 0) told.tell(table.words[slot], pick(u64{1} << 30));
    load(kVa + (pick(8) << 30 | pick(8) << 21 | pick(8) << 12));
    if (pick(64) == 0) told.release(physical(kTables[pick(4)]));
  }
  for (Page* table : kTables) {
    for (u64& word : table->words) word = 0;
    told.release(physical(table));
  }
}

void good_end(const Told& told) {
  make_tables();
  check("the page's content", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  set(told, level1, 0, 0);
  check("a page that went", "", kPageFault, load(kVa));
  check("the first root", "", kCompleted, load_cr3(physical(hostile_root)));
  told.release(physical(&root));
}

}  // namespace hostile::told
