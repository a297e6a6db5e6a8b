#include "native-fallback/tables/entry.h"

#include <gtest/gtest.h>

#include "native-fallback/format/x86_64_4level.h"

namespace nopte::pt {
namespace {

TEST(EntryFormat, EveryRightSurvivesTakingAndGiving) {
  for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
    for (const Access access : {Access::kRead, Access::kWrite, Access::kExec}) {
      for (u8 bits = 1; bits <= Perm::kAll; ++bits) {
        const Perm perm(bits);
        const Entry leaf = Entry::leaf(Frame(0xf'ffff'ffff), perm, privilege, access);
        EXPECT_TRUE(leaf.present());
        EXPECT_TRUE(leaf.accessed());
        EXPECT_EQ(leaf.dirty(), access == Access::kWrite);
        EXPECT_EQ(leaf.perm(), perm | kPermR);  // the format has no entry without read
        EXPECT_EQ(leaf.user(), privilege == Privilege::kUser);
        EXPECT_EQ(leaf.global(), privilege == Privilege::kKernel);
        EXPECT_EQ(leaf.frame(), Frame(0xf'ffff'ffff));
        const Entry hidden = leaf.with_perm(kPermNone);
        EXPECT_FALSE(hidden.present());
        EXPECT_TRUE(hidden.no_access());
        EXPECT_FALSE(hidden.empty());
        EXPECT_EQ(hidden.frame(), leaf.frame());
        EXPECT_EQ(hidden.with_perm(perm), leaf);
        for (u8 other = 1; other <= Perm::kAll; ++other) {
          const Entry changed = leaf.with_perm(Perm(other));
          EXPECT_EQ(changed.lacks_rights_of(leaf), !(Perm(other) | kPermR).contains(perm | kPermR));
        }
        EXPECT_TRUE(hidden.lacks_rights_of(leaf));
      }
    }
  }
}

TEST(EntryFormat, EveryKindOfEntryIsItself) {
  EXPECT_TRUE(Entry().empty());
  EXPECT_EQ(Entry::swapped(0).software(), Entry::Software::kSwapped);
  EXPECT_EQ(Entry::swapped(0xff'ffff'ffff).swap_slot(), 0xff'ffff'ffffu);
  EXPECT_FALSE(Entry::swapped(1).holds_frame());
  const Entry large = Entry::large_kernel_leaf(Frame(512), kPermRW, Caching::kUncached);
  EXPECT_TRUE(large.large() && large.global() && large.writable() && !large.executable() && !large.user());
  EXPECT_EQ(large.word() & (Entry::kCacheDisable | Entry::kWriteThrough),
            Entry::kCacheDisable | Entry::kWriteThrough);
}

TEST(EntryFormat, IndexesCoverTheAddress) {
  const Gva va(0x0000'1234'5678'9abc);
  u64 rebuilt = va.page_offset();
  for (unsigned level = 1; level <= kLevels; ++level) rebuilt |= table_index(va, level) * entry_bytes(level);
  EXPECT_EQ(rebuilt, va.value());
  EXPECT_EQ(FourLevel::table_bytes(1), u64{2} << 20);
}

TEST(EntryPrimitive, ExchangeKeepsWhatHardwareMarks) {
  alignas(kPageBytes) static u8 table[kPageBytes];
  const Entry read = Entry::leaf(Frame(3), kPermRW, Privilege::kUser, Access::kRead);
  store_entry(table, 9, read);
  store_entry(table, 9, read.with(Entry::kDirty));  // hardware, after it was read
  const Entry old = exchange_entry(table, 9, read, read.with_perm(kPermR));
  EXPECT_TRUE(old.dirty());
  EXPECT_TRUE(load_entry(table, 9).dirty());
  EXPECT_FALSE(load_entry(table, 9).writable());
  // Into no entry at all, nothing is carried.
  EXPECT_TRUE(exchange_entry(table, 9, read, Entry()).dirty());
  EXPECT_TRUE(load_entry(table, 9).empty());
}

}  // namespace
}  // namespace nopte::pt
