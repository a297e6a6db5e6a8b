// Large leaves through the cursor, over every format, on the machine: what they show, and that splitting and
// merging change no translation. They lie in the direct range of the kernel space, which shows frame n at
// page n.
#include "tests/model/kind_of.h"
#include "tests/model/store_engines.h"
#include "tests/model/world.h"

namespace nopte::model {
namespace {

// The processor writes to `written` while a table is being published: between the cursor's reading of a large
// leaf and its replacing it.
template <class Kind>
class MarkingSink : public Kind::Sink {
 public:
  explicit MarkingSink(Kind& kind) : Kind::Sink(kind.sink), kind_(kind) {}
  void publish(Frame, unsigned, Gva) {
    if (!written) return;
    EXPECT_TRUE(kind_.machine.access(0, *written, Access::kWrite, Privilege::kKernel));
  }
  std::optional<Gva> written;

 private:
  Kind& kind_;
};

template <class Kind>
const KindRow& row_of_kind() {
  if constexpr (std::same_as<Kind, FiveLevelStore>) return kFiveLevelStore;
  if constexpr (std::same_as<Kind, PaeStore>) return kPaeStore;
  if constexpr (std::same_as<Kind, TwoLevelStore>) return kTwoLevelStore;
  return kStoreInGuest;
}

template <class Kind>
class LargeLeaf : public testing::Test {
 protected:
  using FormatType = typename Kind::Sink::Format;
  using LeafType = typename FormatType::Entry;
  using Sink = MarkingSink<Kind>;
  static constexpr Gva kHere = FormatType::kDirectRange.begin;
  static constexpr u64 kSomePage = 17;  // of the memory's

  void SetUp() override { ASSERT_TRUE(world.start()); }
  void TearDown() override {
    world.check();
    world.finish();
  }

  pt::Cursor<Sink> cursor(Gva va = kHere) { return {tables, *world.engine().root(SpaceId::kKernel), va}; }
  pt::TlbBatch<Sink> batch() {
    return {sink, world.frames(), counters, *world.engine().root(SpaceId::kKernel), pt::FlushScope::kKernel};
  }
  static constexpr Gva page(u64 number) { return kHere + pages_to_bytes(number); }
  static constexpr u64 frames_of(unsigned level) { return FormatType::entry_bytes(level) >> kPageShift; }
  // A leaf of `level` from frame 0 on.
  static LeafType leaf(unsigned level, Perm perm = kPermRW) {
    return FormatType::leaf_at(LeafType::leaf(Frame(0), perm, Privilege::kKernel, Access::kRead), Frame(0),
                               level);
  }
  void map(unsigned level, LeafType entry) { ASSERT_TRUE(cursor().install(entry, level)); }
  void map(unsigned level) { map(level, leaf(level)); }

  // What the machine reaches at the address of a frame of the memory.
  bool reaches(u64 number, Access access = Access::kRead) {
    const auto byte = world.machine().access(0, page(number), access, Privilege::kKernel);
    EXPECT_TRUE(!byte || *byte == world.memory().alias(Frame(number)));
    return byte.has_value();
  }
  LeafType entry_at(u64 number) { return own.own_engine().peek(SpaceId::kKernel, page(number))->entry; }
  // Every entry of the table at the cursor is as `whole` of the level above says.
  void expect_parts(pt::Cursor<Sink>& at, LeafType whole) {
    const unsigned level = at.level();
    const Frame first = FormatType::leaf_frame(whole, level + 1);
    for (unsigned i = 0; i < FormatType::kEntriesPerTable; ++i) {
      ASSERT_EQ(sink.view(at.table()).read(i),
                FormatType::leaf_at(whole, first + i * frames_of(level), level));
    }
    EXPECT_EQ(at.meta().live, FormatType::kEntriesPerTable);
  }

  World world{row_of_kind<Kind>(), 4096, 2};
  KindOf<Kind>& own = static_cast<KindOf<Kind>&>(world.kind());
  Sink sink{own.kind};
  pt::EngineCounters counters;
  pt::TableMemory<Sink> tables{sink, world.frames(), counters};
};

using Kinds = testing::Types<StoreInGuest, FiveLevelStore, PaeStore, TwoLevelStore>;
TYPED_TEST_SUITE(LargeLeaf, Kinds);

TYPED_TEST(LargeLeaf, ShowsItsFramesWithItsRights) {
  using Format = typename TypeParam::Sink::Format;
  for (unsigned level = 2; level <= Format::kLargestLeaf; ++level) {
    const u64 first = this->frames_of(level);  // each level has a place of its own
    const auto whole = Format::leaf_at(this->leaf(level, kPermR), Frame(first), level);
    ASSERT_TRUE(this->cursor(this->page(first)).install(whole, level));
    const auto found = this->own.own_engine().peek(SpaceId::kKernel, this->page(first + first / 2));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->entry, whole);
    EXPECT_EQ(found->level, level);
    EXPECT_EQ(found->rights, Format::granted(kPermR));
    EXPECT_FALSE(found->user);
  }
  EXPECT_TRUE(this->reaches(this->frames_of(2) + this->kSomePage));
  EXPECT_FALSE(this->reaches(this->frames_of(2) + this->kSomePage, Access::kWrite));
}

TYPED_TEST(LargeLeaf, SplitsIntoLeavesThatShowTheSame) {
  using Format = typename TypeParam::Sink::Format;
  this->map(Format::kLargestLeaf);
  const u64 before = this->world.frames().free_frames();
  ASSERT_TRUE(this->reaches(this->kSomePage));
  auto at = this->cursor(this->page(this->kSomePage));
  for (unsigned level = Format::kLargestLeaf; level > 1; --level) {
    ASSERT_EQ(at.level(), level);
    const auto whole = at.entry();
    ASSERT_TRUE(at.split());
    ASSERT_EQ(at.level(), level - 1);
    this->expect_parts(at, whole);
    this->world.check();
  }
  EXPECT_EQ(this->world.frames().free_frames(), before - (Format::kLargestLeaf - 1));
  // Each page is marked for itself from now on.
  EXPECT_TRUE(this->reaches(this->kSomePage, Access::kWrite));
  EXPECT_TRUE(this->entry_at(this->kSomePage).dirty());
  EXPECT_FALSE(this->entry_at(this->kSomePage + 1).dirty());
  EXPECT_TRUE(this->reaches(100));
}

TYPED_TEST(LargeLeaf, KeepsRightsCachingAndMarksWhenSplit) {
  using Format = typename TypeParam::Sink::Format;
  using Leaf = typename Format::Entry;
  unsigned slot = 0;
  for (u8 bits = 0; bits <= Perm::kAll; ++bits) {
    for (const pt::Caching caching : {pt::Caching::kWriteBack, pt::Caching::kUncached}) {
      for (const auto marks : {typename Leaf::Word{0}, Leaf::kAccessed, Leaf::kAccessed | Leaf::kDirty}) {
        const u64 first = this->frames_of(2) * slot++;
        const Leaf whole = Leaf::large_kernel_leaf(Frame(first), kPermRW, caching)
                               .with_perm(Perm(bits))
                               .without(Leaf::kAccessed | Leaf::kDirty)
                               .with(marks);
        auto at = this->cursor(this->page(first));
        ASSERT_TRUE(at.install(whole, 2));
        at.walk(this->page(first));
        ASSERT_TRUE(at.split());
        this->expect_parts(at, whole);
        const auto found = this->own.own_engine().peek(SpaceId::kKernel, this->page(first + 1));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->rights, Format::granted(Perm(bits)));
      }
    }
  }
}

TYPED_TEST(LargeLeaf, SplitKeepsMarksThatTheProcessorSetsMeanwhile) {
  this->map(2);
  this->sink.written = this->page(this->kSomePage);
  auto at = this->cursor();
  ASSERT_FALSE(at.entry().dirty());
  ASSERT_TRUE(at.split());
  for (unsigned i = 0; i < TypeParam::Sink::Format::kEntriesPerTable; ++i) {
    ASSERT_TRUE(this->sink.view(at.table()).read(i).dirty()) << i;
  }
}

TYPED_TEST(LargeLeaf, SplitWithoutMemoryChangesNothing) {
  using Format = typename TypeParam::Sink::Format;
  for (unsigned level = Format::kLargestLeaf; level > 1; --level) {
    if (level == Format::kLargestLeaf) this->map(level);
    auto at = this->cursor();
    ASSERT_EQ(at.level(), level);
    const auto whole = at.entry();
    const u64 before = this->world.frames().free_frames();
    this->world.frames().fail_allocation(1);
    EXPECT_EQ(at.split(), Fail(Status::kNoMemory));
    this->world.frames().fail_allocation(0);
    EXPECT_EQ(at.level(), level);
    EXPECT_EQ(at.entry(), whole);
    EXPECT_EQ(this->world.frames().free_frames(), before);
    EXPECT_TRUE(this->reaches(this->kSomePage));
    this->world.check();
    ASSERT_TRUE(at.split());
  }
}

TYPED_TEST(LargeLeaf, MergesBackWhatWasSplit) {
  using Format = typename TypeParam::Sink::Format;
  using Leaf = typename Format::Entry;
  this->map(Format::kLargestLeaf);
  const u64 before = this->world.frames().free_frames();
  auto at = this->cursor(this->page(this->kSomePage));
  while (at.level() > 1) ASSERT_TRUE(at.split());
  for (unsigned cpu = 0; cpu < 2; ++cpu) {
    // Both walk through the tables that go.
    ASSERT_TRUE(
        this->world.machine().access(cpu, this->page(this->kSomePage), Access::kRead, Privilege::kKernel));
  }
  while (at.level() < Format::kLargestLeaf) {
    auto batch = this->batch();
    ASSERT_TRUE(at.merge(batch));
    batch.flush();
    this->world.check();
  }
  // Writable, so it may have been written meanwhile.
  EXPECT_EQ(at.entry(), this->leaf(Format::kLargestLeaf).with(Leaf::kDirty));
  EXPECT_EQ(this->world.frames().free_frames(), before);
  EXPECT_TRUE(this->reaches(this->kSomePage, Access::kWrite));
  auto batch = this->batch();
  EXPECT_FALSE(at.merge(batch));  // no leaf is larger
}

TYPED_TEST(LargeLeaf, MergesOnlyWhatOneLeafCanSay) {
  using Format = typename TypeParam::Sink::Format;
  using Leaf = typename Format::Entry;
  this->map(2, this->leaf(2, kPermR));
  auto at = this->cursor();
  ASSERT_TRUE(at.split());
  auto batch = this->batch();
  const auto refuses = [&](Leaf odd) {
    constexpr unsigned kOdd = Format::kEntriesPerTable - 1;
    const Leaf usual = this->sink.view(at.table()).read(kOdd);
    at.replace(kOdd, usual, odd);
    EXPECT_FALSE(at.merge(batch)) << std::hex << odd.word();
    at.replace(kOdd, odd, usual);
  };
  const Leaf last = this->sink.view(at.table()).read(Format::kEntriesPerTable - 1);
  refuses(last.with(Leaf::kWritable));
  refuses(last.with(Leaf::kUser));
  refuses(last.with(Leaf::kCacheDisable));
  refuses(last.without(Leaf::kGlobal));
  refuses(last.with_frame(Frame(1)));
  refuses(last.with_perm(kPermNone));
  at.replace(0, at.entry(), Leaf());
  note_emptied(at.meta());
  EXPECT_FALSE(at.merge(batch));  // one is missing
  at.install_at(0, this->leaf(1, kPermR).with(Leaf::kDirty));
  EXPECT_TRUE(at.merge(batch));
  batch.flush();
  // What one of them was marked, the leaf is.
  EXPECT_EQ(at.entry(), this->leaf(2, kPermR).with(Leaf::kDirty));
  EXPECT_EQ(at.level(), 2u);
}

TYPED_TEST(LargeLeaf, DoesNotBeginBetweenItsBounds) {
  using Format = typename TypeParam::Sink::Format;
  // Frames in a row, one off where a leaf could begin.
  auto at = this->cursor();
  for (unsigned i = 0; i < Format::kEntriesPerTable; ++i) {
    at.walk(this->page(i));
    ASSERT_TRUE(at.install(Format::leaf_at(this->leaf(1), Frame(i + 1), 1)));
  }
  auto batch = this->batch();
  EXPECT_FALSE(at.merge(batch));
}

TYPED_TEST(LargeLeaf, HasTheRightsOfTheWayToo) {
  using Format = typename TypeParam::Sink::Format;
  using Leaf = typename Format::Entry;
  this->map(2);
  auto at = this->cursor(this->page(this->kSomePage));
  ASSERT_TRUE(at.split());
  EXPECT_TRUE(this->reaches(this->kSomePage, Access::kWrite));
  // The table's entry takes writing away from all of it.
  const auto root = *this->world.engine().root(SpaceId::kKernel);
  Frame above = root;
  for (unsigned level = Format::kLevels; level > 2; --level) {
    above = this->sink.view(above).read(Format::table_index(at.va(), level)).frame();
  }
  const pt::Slot slot = pt::Slot::of<Format>(above, root, at.va(), 2);
  const Leaf full = this->sink.read(slot);
  this->sink.exchange(slot, full, full.without(Leaf::kWritable));
  this->world.machine().flush_everything();
  EXPECT_EQ(this->own.own_engine().peek(SpaceId::kKernel, at.va())->rights, Format::granted(kPermR));
  EXPECT_FALSE(this->reaches(this->kSomePage, Access::kWrite));
  EXPECT_TRUE(this->reaches(this->kSomePage));
}

}  // namespace
}  // namespace nopte::model
