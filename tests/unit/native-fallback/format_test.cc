// Every format: shape, entries and rights, exhaustively. What the bits should be is written here as in the
// manuals' tables, not taken from the formats.
#include "native-fallback/format/format.h"

#include <gtest/gtest.h>

#include "native-fallback/format/i386_2level.h"
#include "native-fallback/format/i386_pae.h"
#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/format/x86_64_5level.h"

namespace nopte::pt {
namespace {

// Intel SDM vol. 3A, 4.2 to 4.5: what the processor documents of each format.
struct Manual {
  unsigned levels;
  unsigned address_bits;
  unsigned shifts[5];  // of the index, from level 1
  unsigned frame_bits;
  bool no_execute;
  unsigned largest_leaf;
};
template <class Format>
constexpr Manual kManual{};
template <>
constexpr Manual kManual<FourLevel>{4, 48, {12, 21, 30, 39}, 40, true, 3};
template <>
constexpr Manual kManual<FiveLevel>{5, 57, {12, 21, 30, 39, 48}, 40, true, 3};
template <>
constexpr Manual kManual<Pae>{3, 32, {12, 21, 30}, 40, true, 2};
template <>
constexpr Manual kManual<TwoLevel>{2, 32, {12, 22}, 20, false, 2};

static_assert(PageTableFormat<FourLevel> && PageTableFormat<FiveLevel> && PageTableFormat<Pae> &&
              PageTableFormat<TwoLevel>);

template <class F>
class Format : public testing::Test {
 protected:
  using EntryType = typename F::Entry;
  using WordType = typename EntryType::Word;
  static constexpr Manual kBook = kManual<F>;
  static constexpr WordType kNx = kBook.no_execute ? WordType(u64{1} << 63) : 0;

  // The rights of a present word, by table 4-5 and 4.6: R/W is bit 1, XD bit 63.
  static Perm rights(WordType word) {
    if (!(word & 1)) return kPermNone;
    return Perm(
        static_cast<u8>(Perm::kRead | (word & 2 ? Perm::kWrite : 0) | (word & kNx ? 0 : Perm::kExec)));
  }
  // Address bits 12 and up as the entry of a 4 KiB page or a table has them.
  static WordType frame_word(u64 frame) { return static_cast<WordType>(frame << 12); }

  // visit(perm, privilege, access) for everything that a leaf can be made with.
  template <class Visit>
  static void for_each_leaf(Visit visit) {
    for (u8 bits = 1; bits <= Perm::kAll; ++bits) {
      for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
        for (const Access access : {Access::kRead, Access::kWrite, Access::kExec}) {
          visit(Perm(bits), privilege, access);
        }
      }
    }
  }
  // Every pattern of the bits that are not a frame's: the low twelve, and no-execute where there is one.
  template <class Visit>
  static void for_each_pattern(Visit visit) {
    for (WordType low = 0; low < 0x1000; ++low) {
      visit(low);
      if (kNx != 0) visit(low | kNx);
    }
  }
};
using Formats = testing::Types<FourLevel, FiveLevel, Pae, TwoLevel>;
TYPED_TEST_SUITE(Format, Formats);

TYPED_TEST(Format, HasTheTreeOfTheManual) {
  constexpr Manual book = TestFixture::kBook;
  ASSERT_EQ(TypeParam::kLevels, book.levels);
  EXPECT_EQ(TypeParam::kLargestLeaf, book.largest_leaf);
  EXPECT_EQ(TypeParam::kEntriesPerTable * sizeof(typename TestFixture::WordType), kPageBytes);
  for (unsigned level = 1; level <= book.levels; ++level) {
    const unsigned low = book.shifts[level - 1];
    const unsigned high = level == book.levels ? book.address_bits : book.shifts[level];
    EXPECT_EQ(TypeParam::entry_bytes(level), u64{1} << low);
    EXPECT_EQ(TypeParam::table_bytes(level), u64{1} << high);
    EXPECT_EQ(TypeParam::entries(level), 1u << (high - low));
    // Each address bit counts in the index of one level.
    for (unsigned bit = 0; bit < book.address_bits; ++bit) {
      const unsigned expected = bit >= low && bit < high ? 1u << (bit - low) : 0;
      EXPECT_EQ(TypeParam::table_index(Gva(u64{1} << bit), level), expected) << level << ", bit " << bit;
    }
  }
}

TYPED_TEST(Format, KnowsWhichAddressesThereAre) {
  constexpr unsigned kBits = TestFixture::kBook.address_bits;
  constexpr bool kSigned = kBits > 32;
  for (unsigned bit = 0; bit < 64; ++bit) {
    const Gva one(u64{1} << bit);
    EXPECT_EQ(TypeParam::canonical(one), bit < (kSigned ? kBits - 1 : kBits)) << bit;
    const Gva upper(~u64{0} << bit);
    EXPECT_EQ(TypeParam::canonical(upper), kSigned && bit < kBits) << bit;
  }
  const VaRange user = TypeParam::kUserRange;
  EXPECT_TRUE(TypeParam::canonical(user.begin) && TypeParam::canonical(user.end));
  EXPECT_FALSE(TypeParam::kernel_half(user.begin) || TypeParam::kernel_half(user.end - 1));
  Gva end = user.end;
  for (const VaRange range :
       {TypeParam::kDirectRange, TypeParam::kWindowRange, TypeParam::kKmemRange, TypeParam::kImageRange}) {
    EXPECT_TRUE(range.page_aligned() && !range.empty());
    EXPECT_LE(end, range.begin);
    end = range.end;
    for (const Gva va : {range.begin, range.end - 1}) {
      EXPECT_TRUE(TypeParam::canonical(va) && TypeParam::kernel_half(va)) << std::hex << va.value();
      // No slot of the root is both the user's and the kernel's.
      EXPECT_GT(TypeParam::table_index(va, TypeParam::kLevels),
                TypeParam::table_index(user.end - 1, TypeParam::kLevels));
    }
  }
}

TYPED_TEST(Format, MakesTheLeavesOfTheManual) {
  using Entry = typename TestFixture::EntryType;
  using Word = typename TestFixture::WordType;
  TestFixture::for_each_leaf([](Perm perm, Privilege privilege, Access access) {
    for (unsigned bit = 0; bit <= TestFixture::kBook.frame_bits; ++bit) {
      // Each bit of a frame number alone; at last all of them.
      const u64 number = bit < TestFixture::kBook.frame_bits ? u64{1} << bit : (u64{1} << bit) - 1;
      const Entry leaf = Entry::leaf(Frame(number), perm, privilege, access);
      Word word = TestFixture::frame_word(number) | 1 << 0 | 1 << 5;
      if (perm.write()) word |= 1 << 1;
      if (privilege == Privilege::kUser) word |= 1 << 2;
      if (access == Access::kWrite) word |= 1 << 6;
      if (privilege == Privilege::kKernel) word |= 1 << 8;
      if (!perm.exec()) word |= TestFixture::kNx;
      ASSERT_EQ(leaf.word(), word);
      ASSERT_EQ(leaf.frame(), Frame(number));
      ASSERT_EQ(TypeParam::leaf_frame(leaf, 1), Frame(number));
      ASSERT_EQ(leaf.perm(), TypeParam::granted(perm));
      ASSERT_EQ(leaf.user(), privilege == Privilege::kUser);
      ASSERT_EQ(leaf.global(), privilege == Privilege::kKernel);
      ASSERT_EQ(leaf.accessed(), true);
      ASSERT_EQ(leaf.dirty(), access == Access::kWrite);
      ASSERT_FALSE(leaf.large());
    }
  });
  for (u8 bits = 1; bits <= Perm::kAll; ++bits) {
    for (const Caching caching : {Caching::kWriteBack, Caching::kUncached}) {
      const Perm perm(bits);
      const Entry leaf = Entry::kernel_leaf(Frame(3), perm, caching);
      const Access access = perm.write() ? Access::kWrite : Access::kRead;
      EXPECT_EQ(leaf.word(), Entry::leaf(Frame(3), perm, Privilege::kKernel, access).word() |
                                 (caching == Caching::kUncached ? 1 << 3 | 1 << 4 : 0));
    }
  }
}

TYPED_TEST(Format, GrantsWhatItCannotRefuse) {
  for (u8 bits = 0; bits <= Perm::kAll; ++bits) {
    const Perm perm(bits);
    const Perm granted = TypeParam::granted(perm);
    EXPECT_TRUE(granted.contains(perm));
    EXPECT_EQ(granted.none(), perm.none());
    EXPECT_EQ(granted.read(), !perm.none());
    EXPECT_EQ(granted.write(), perm.write());
    EXPECT_EQ(granted.exec(), perm.exec() || (!TestFixture::kBook.no_execute && !perm.none()));
  }
}

TYPED_TEST(Format, ReadsEveryPatternOfBits) {
  using Entry = typename TestFixture::EntryType;
  using Word = typename TestFixture::WordType;
  constexpr u64 kAllFrames = (u64{1} << TestFixture::kBook.frame_bits) - 1;
  TestFixture::for_each_pattern([](Word pattern) {
    for (const u64 number : {u64{0}, u64{0x5'5555'5555} & kAllFrames, kAllFrames}) {
      const Word word = pattern | TestFixture::frame_word(number);
      const Entry entry(word);
      ASSERT_EQ(entry.word(), word);
      ASSERT_EQ(entry.empty(), word == 0);
      ASSERT_EQ(entry.present(), (word >> 0 & 1) != 0);
      ASSERT_EQ(entry.writable(), (word >> 1 & 1) != 0);
      ASSERT_EQ(entry.user(), (word >> 2 & 1) != 0);
      ASSERT_EQ(entry.accessed(), (word >> 5 & 1) != 0);
      ASSERT_EQ(entry.dirty(), (word >> 6 & 1) != 0);
      ASSERT_EQ(entry.large(), (word >> 7 & 1) != 0);
      ASSERT_EQ(entry.global(), (word >> 8 & 1) != 0);
      ASSERT_EQ(entry.executable(), (word & TestFixture::kNx) == 0);
      ASSERT_EQ(entry.frame(), Frame(number));
      ASSERT_EQ(entry.swap_slot(), number);
      ASSERT_EQ(entry.perm(), TestFixture::rights(word));
      const unsigned kind = entry.present() ? 0 : word >> 9 & 7;
      ASSERT_EQ(static_cast<unsigned>(entry.software()), kind);
      ASSERT_EQ(entry.no_access(), kind == 1);
      ASSERT_EQ(entry.holds_frame(), entry.present() || kind == 1);
    }
  });
}

TYPED_TEST(Format, ChangesRightsAndNothingElse) {
  using Entry = typename TestFixture::EntryType;
  using Word = typename TestFixture::WordType;
  constexpr Word kOthers = static_cast<Word>(~(Word{1} | 2 | 7 << 9 | TestFixture::kNx));
  TestFixture::for_each_pattern([](Word pattern) {
    const Entry entry(pattern | TestFixture::frame_word(0xabcde));
    if (!entry.holds_frame()) return;
    for (u8 bits = 0; bits <= Perm::kAll; ++bits) {
      const Perm perm(bits);
      const Entry changed = entry.with_perm(perm);
      ASSERT_EQ(changed.word() & kOthers, entry.word() & kOthers);
      ASSERT_EQ(changed.perm(), TypeParam::granted(perm));
      ASSERT_EQ(changed.present(), !perm.none());
      ASSERT_EQ(changed.no_access(), perm.none());
      ASSERT_TRUE(changed.holds_frame());
      ASSERT_EQ(changed.with_perm(entry.perm()).perm(), entry.perm());
      ASSERT_EQ(changed.with_perm(perm), changed);
      // Losing is what the processor must forget; a promise that the format cannot keep loses nothing.
      if (entry.present()) {
        ASSERT_EQ(changed.lacks_rights_of(entry), !changed.perm().contains(entry.perm()));
      }
    }
    const Entry moved = entry.with_frame(Frame(0x54321));
    ASSERT_EQ(moved.frame(), Frame(0x54321));
    ASSERT_EQ(moved.with_frame(entry.frame()), entry);
  });
}

TYPED_TEST(Format, KnowsEveryKindOfAbsence) {
  using Entry = typename TestFixture::EntryType;
  for (unsigned bit = 0; bit < TestFixture::kBook.frame_bits; ++bit) {
    const Entry swapped = Entry::swapped(u64{1} << bit);
    EXPECT_EQ(swapped.swap_slot(), u64{1} << bit);
    EXPECT_EQ(swapped.software(), Entry::Software::kSwapped);
    EXPECT_FALSE(swapped.present() || swapped.empty() || swapped.holds_frame() || swapped.large());
  }
  EXPECT_FALSE(Entry::swapped(0).empty());
  EXPECT_TRUE(Entry().empty() && !Entry().holds_frame());
}

TYPED_TEST(Format, LeadsToTablesWithFullRights) {
  using Entry = typename TestFixture::EntryType;
  using Word = typename TestFixture::WordType;
  constexpr bool kPae = std::is_same_v<TypeParam, Pae>;
  for (unsigned level = 2; level <= TypeParam::kLevels; ++level) {
    for (const Privilege privilege : {Privilege::kUser, Privilege::kKernel}) {
      for (unsigned bit = 0; bit < TestFixture::kBook.frame_bits; ++bit) {
        const Entry entry = TypeParam::table_entry(Frame(u64{1} << bit), privilege, level);
        Word word = TestFixture::frame_word(u64{1} << bit) | 1;
        // Table 4-8: a PDPTE of PAE has none of R/W, U/S, A; they are reserved.
        const bool plain = kPae && level == 3;
        if (!plain) word |= 1 << 1 | 1 << 5;
        if (!plain && privilege == Privilege::kUser) word |= 1 << 2;
        ASSERT_EQ(entry.word(), word) << "level " << level;
        ASSERT_EQ(entry.frame(), Frame(u64{1} << bit));
        ASSERT_TRUE(entry.present() && !entry.large());
        ASSERT_EQ(TypeParam::has_rights(level), !plain);
      }
    }
  }
  EXPECT_EQ(TypeParam::kFixedRoot, kPae);
  // CR3 of PAE has 32 bits.
  EXPECT_EQ(TypeParam::kPoolLimit, Frame(u64{1} << (kPae ? 20 : TestFixture::kBook.frame_bits)));
}

TYPED_TEST(Format, LargeLeavesKeepFrameAndRights) {
  using Entry = typename TestFixture::EntryType;
  using Word = typename TestFixture::WordType;
  constexpr bool kWide = sizeof(Word) == 8;
  for (unsigned level = 2; level <= TypeParam::kLargestLeaf; ++level) {
    const unsigned low = TestFixture::kBook.shifts[level - 1] - 12;
    // 40 bits of address with PSE, 52 with 64-bit words.
    for (unsigned bit = low; bit < (kWide ? 40u : 28u); ++bit) {
      const Frame first(u64{1} << bit);
      TestFixture::for_each_leaf([&](Perm perm, Privilege privilege, Access access) {
        const Entry small = Entry::leaf(Frame(1), perm, privilege, access);
        const Entry large = TypeParam::leaf_at(small, first, level);
        // Table 4-4: with 32-bit words address bits 39:32 are bits 20:13.
        const Word frame = bit < 20 || kWide ? static_cast<Word>(first.number() << 12)
                                             : static_cast<Word>(Word{1} << (bit - 20 + 13));
        const Word flags = small.word() & ~TestFixture::frame_word(1);
        ASSERT_EQ(large.word(), (flags | 1 << 7 | frame)) << level << ", bit " << bit;
        ASSERT_EQ(TypeParam::leaf_frame(large, level), first);
        ASSERT_EQ(large.perm(), small.perm());
        ASSERT_EQ(TypeParam::leaf_at(large, Frame(1), 1), small);
      });
      for (const Caching caching : {Caching::kWriteBack, Caching::kUncached}) {
        const Entry kernel = Entry::large_kernel_leaf(first, kPermRW, caching);
        ASSERT_EQ(kernel, TypeParam::leaf_at(Entry::kernel_leaf(Frame(1), kPermRW, caching), first, level));
        ASSERT_TRUE(kernel.large() && kernel.global() && kernel.writable() && !kernel.user());
      }
    }
    // The PAT bit, which is never set here, is no part of a large leaf's frame.
    const Entry some = TypeParam::leaf_at(Entry::leaf(Frame(1), kPermR, Privilege::kUser, Access::kRead),
                                          Frame(u64{3} << low), level);
    EXPECT_EQ(TypeParam::leaf_frame(some.with(1 << 12), level), Frame(u64{3} << low));
  }
}

}  // namespace
}  // namespace nopte::pt
