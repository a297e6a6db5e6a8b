// What a direct-paging guest starts on: every frame in the direct map, tables read-only, lists that are each
// other's inverse, and no memory but what is there.
#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include "hv-mm/xen/domain_builder.h"
#include "hv-mm/xen/page_types.h"
#include "tests/support/guest_elf.h"
#include "tests/support/xen_count.h"

namespace nopte::hv {
namespace {

using testing::GuestElf;
using testing::kXFrame;
using testing::kXNx;
using testing::kXP;
using testing::kXU;
using testing::kXW;

constexpr u64 kBegin = 0x12'3400;  // machine frame numbers begin here
constexpr u64 kReserved = 0x7000 + kXP;

class Domain {
 public:
  explicit Domain(u64 frames)
      : count(frames),
        memory_(frames * kPageBytes / sizeof(u64), kRubbish),
        infos_(frames),
        machine_frames(pt::FrameRange::of(pt::Frame(kBegin), frames), reinterpret_cast<u8*>(memory_.data()),
                       infos_),
        order(kBegin, frames),
        builder(machine_frames, order) {}

  Result<void> build(u64 first) { return builder.build(*GuestImage::parse(elf_.bytes()), first, block); }
  // Guest memory, by guest frame.
  [[nodiscard]] u64 word(u64 frame, u64 index) const {
    return reinterpret_cast<const u64*>(builder.pointer(frame))[index];
  }
  [[nodiscard]] u64 guest_frame(u64 machine) const {
    for (u64 frame = 0; frame < count; ++frame) {
      if (order.machine(frame) == machine) return frame;
    }
    ADD_FAILURE() << "no frame of the guest's: " << machine;
    return 0;
  }
  // The leaf entry for va, walked from the root by machine frames; 0 where nothing is mapped.
  [[nodiscard]] u64 leaf(u64 va) const {
    u64 entry = order.machine(block.boot_root) << 12;
    for (unsigned level = 4; level != 0; --level) {
      const u8* table = machine_frames.pointer((entry & kXFrame) >> 12);
      entry = reinterpret_cast<const u64*>(table)[va >> (12 + 9 * (level - 1)) & 511];
      if (!(entry & kXP)) return 0;
      EXPECT_FALSE(entry & kXU);
    }
    return entry;
  }

  static constexpr u64 kRubbish = 0xa5a5'a5a5'a5a5'a5a5;
  u64 count;
  abi::BootBlock block;

 private:
  GuestElf elf_;
  std::vector<u64> memory_;
  std::vector<FrameInfo> infos_;

 public:
  MachineFrames machine_frames;
  FrameOrder order;
  DomainBuilder builder;
};

// Frames of one list, more leaf tables than one, and a last table that is used in part.
constexpr u64 kCounts[] = {300, 512, 1300};
constexpr u64 kFirst = 270;  // behind the image

TEST(XenDomainBuilder, EveryFrameIsSeenOnceAndTablesOnlyToRead) {
  for (const u64 count : kCounts) {
    Domain d(count);
    ASSERT_TRUE(d.build(kFirst)) << count;
    EXPECT_EQ(d.block.kind, abi::BootKind::kMachine);
    const u64 list_pages = (count * 8 + 4095) / 4096;
    for (u64 frame = 0; frame < count; ++frame) {
      const u64 leaf = d.leaf(abi::kMachineDirectBase + frame * kPageBytes);
      ASSERT_EQ((leaf & kXFrame) >> 12, d.order.machine(frame)) << frame;
      const bool table = frame >= d.block.built_begin + list_pages && frame < d.block.built_end;
      EXPECT_EQ((leaf & kXW) == 0, table) << frame;
      EXPECT_TRUE(leaf & kXNx);
      // As the guest changes it: by place among the leaf tables.
      EXPECT_EQ(d.word(d.block.direct_leaves + frame / 512, frame % 512), leaf);
    }
    EXPECT_EQ(d.leaf(abi::kMachineDirectBase + count * kPageBytes), 0u);
    EXPECT_EQ(d.block.built_begin, kFirst);
    // The block names what the root leads to.
    const u64 top = d.word(d.block.boot_root, abi::kMachineDirectBase >> 39 & 511);
    EXPECT_EQ((top & kXFrame) >> 12, d.order.machine(d.block.direct_table));
  }
}

TEST(XenDomainBuilder, TheImageIsMappedWhereItIsLinked) {
  Domain d(1300);
  ASSERT_TRUE(d.build(kFirst));
  for (u64 page = 0; page < GuestElf::kPages; ++page) {
    const u64 leaf = d.leaf(GuestElf::kBase + page * kPageBytes);
    EXPECT_EQ((leaf & kXFrame) >> 12, d.order.machine(0x100 + page));
    EXPECT_TRUE(leaf & kXW);
    EXPECT_FALSE(leaf & kXNx);
  }
  EXPECT_EQ(d.leaf(GuestElf::kBase - kPageBytes), 0u);
  EXPECT_EQ(d.leaf(GuestElf::kBase + GuestElf::kPages * kPageBytes), 0u);
}

TEST(XenDomainBuilder, TheListsAreEachOthersInverse) {
  for (const u64 count : kCounts) {
    Domain d(count);
    ASSERT_TRUE(d.build(kFirst));
    std::vector<u64> to_physical(count, ~u64{0});
    d.builder.fill_machine_to_physical(to_physical.data());
    ASSERT_EQ(d.block.machine_list, abi::kMachineDirectBase + kFirst * kPageBytes);
    absl::btree_set<u64> seen;
    bool an_offset = true;
    for (u64 frame = 0; frame < count; ++frame) {
      const u64 machine = d.word(kFirst + frame / 512, frame % 512);
      ASSERT_TRUE(d.machine_frames.owns(machine)) << frame;
      EXPECT_TRUE(seen.insert(machine).second) << frame;
      EXPECT_EQ(to_physical[machine - kBegin], frame);
      an_offset = an_offset && machine == kBegin + frame;
    }
    EXPECT_FALSE(an_offset);
  }
}

// By the validator's own rules, and by a count apart from it: each table is used as what it is, and by
// nothing else.
TEST(XenDomainBuilder, TheRootIsValid) {
  for (const u64 count : kCounts) {
    Domain d(count);
    ASSERT_TRUE(d.build(kFirst));
    const u64 root = d.order.machine(d.block.boot_root);
    const auto never = [] { return false; };
    PageTypes types(d.machine_frames, pt::Entry(kReserved), never);
    ASSERT_TRUE(types.begin_call());
    ASSERT_EQ(types.pin(root, 4), XenErrno::kNone);
    ASSERT_EQ(types.set_base(root), XenErrno::kNone);
    testing::XenCount(types, kReserved, {{root - kBegin, 4}}, root - kBegin).check();
    const u64 list_pages = (count * 8 + 4095) / 4096;
    for (u64 frame = d.block.built_begin + list_pages; frame < d.block.built_end; ++frame) {
      EXPECT_TRUE(is_table(d.machine_frames.info(d.order.machine(frame)).type)) << frame;
    }
    EXPECT_EQ(types.counters().tables_validated, d.block.built_end - d.block.built_begin - list_pages);
  }
}

TEST(XenDomainBuilder, TakesNothingThatIsNotThere) {
  Domain fits(300);
  ASSERT_TRUE(fits.build(kFirst));
  const u64 needed = fits.block.built_end - fits.block.built_begin;
  for (u64 missing = 1; missing <= needed; ++missing) {
    Domain d(kFirst + needed - missing);
    EXPECT_EQ(d.build(kFirst), Fail(Status::kNoMemory)) << missing;
  }
  Domain exactly(kFirst + needed);
  EXPECT_TRUE(exactly.build(kFirst));
  // What is before the list is not touched.
  for (u64 frame = 0; frame < kFirst; ++frame) {
    for (const u64 index : {0u, 511u}) EXPECT_EQ(exactly.word(frame, index), Domain::kRubbish);
  }
}

}  // namespace
}  // namespace nopte::hv
