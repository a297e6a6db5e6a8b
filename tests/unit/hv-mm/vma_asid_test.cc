// Mode vma's spaces under ASIDs of their own, over a machine that forgets what ASID, tlb_control and INVLPGA
// say and nothing else: a switch flushes nothing, and what was taken from a space that did not run is not
// used when it does.
//
// The random run makes calls on spaces that run and that do not, on objects and kernel memory, and looks
// after each exit for translations that the guest could use and should not. NOPTE_SEED=n
// NOPTE_OPERATIONS=100000000 is the long one.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "hv-mm/container/asid_table.h"
#include "tests/model/vma_kind.h"
#include "tests/support/seeds.h"

namespace nopte::model {
namespace {

using abi::Call;
using pt::Privilege;

constexpr u64 kFrames = 2048;
constexpr u64 kR = 1, kW = 2, kX = 4;  // rights of a region
constexpr Gva kPage{0x4000'0000};
constexpr u64 kAdviseDontNeed = 0, kAdvisePopulate = 2;

class Spaces {
 public:
  explicit Spaces(u32 asids) : guest(kFrames, {}, 0, asids) {}

  // The answer; 0 when it is an error.
  u64 call(Call number, const abi::Registers& arguments) {
    const hv::CallResult result = guest.call(static_cast<u64>(number), arguments);
    status = result.status;
    EXPECT_EQ(guest.machine().stale_translations(), 0u);
    return status == Status::kOk ? result.value : 0;
  }
  bool reaches(Gva va, Access access) {
    const auto privilege = static_cast<i64>(va.value()) < 0 ? Privilege::kKernel : Privilege::kUser;
    const u64 exits = guest.exits;
    const bool reached = guest.access(va, access, privilege).has_value();
    if (guest.exits != exits) {
      EXPECT_EQ(guest.machine().stale_translations(), 0u);
    }
    return reached;
  }
  u8& byte(Gva va) {
    const auto byte = guest.access(va, Access::kWrite, Privilege::kUser);
    NOPTE_ASSERT(byte);
    return **byte;
  }
  u64 make() { return call(Call::space_create, {}); }
  void activate(u64 space) { call(Call::space_activate, {space}); }
  void map(u64 space, Gva va, u64 pages, u64 flags, u64 object = 0) {
    call(Call::region_map, {space, va.value(), pages, flags | abi::kRegionReplace, object, 0});
  }
  void unmap(u64 space, Gva va, u64 pages) { call(Call::region_unmap, {space, va.value(), pages}); }
  void protect(u64 space, Gva va, u64 pages, u64 perm) {
    call(Call::region_protect, {space, va.value(), pages, perm});
  }
  // A space with a page of its own, touched; it runs.
  u64 make_touched(u64 pages = 1) {
    const u64 space = make();
    activate(space);
    map(space, kPage, pages, kR | kW);
    for (u64 page = 0; page < pages; ++page) byte(kPage + pages_to_bytes(page)) = static_cast<u8>(space);
    return space;
  }
  [[nodiscard]] u64 walks() { return guest.machine().walks; }
  [[nodiscard]] u64 flushes() { return guest.machine().entry_flushes; }
  [[nodiscard]] u32 asid() { return guest.vmcb().asid; }

  VmaGuest guest;
  Status status = Status::kOk;
};

TEST(VmaAsids, ASwitchFlushesNothing) {
  Spaces s(6);  // the host's, the kernel space's and four
  std::vector<u64> spaces;
  for (int i = 0; i < 4; ++i) spaces.push_back(s.make_touched());
  const u64 flushes = s.flushes(), walks = s.walks(), exits = s.guest.exits;
  for (int round = 0; round < 100; ++round) {
    for (const u64 space : spaces) {
      s.activate(space);
      ASSERT_EQ(s.byte(kPage), static_cast<u8>(space));
    }
  }
  EXPECT_EQ(s.flushes(), flushes);
  EXPECT_EQ(s.walks(), walks);
  EXPECT_EQ(s.guest.exits, exits + 400);
}

TEST(VmaAsids, WithOneAloneEverySwitchForgetsAll) {
  Spaces s(2);
  const u64 a = s.make_touched(), b = s.make_touched();
  const u64 flushes = s.flushes();
  for (int round = 0; round < 10; ++round) {
    s.activate(a);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(a));
    s.activate(b);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(b));
  }
  EXPECT_EQ(s.flushes(), flushes + 20);
}

TEST(VmaAsids, APageTakenFromWhatRunsLeavesTheRestKnown) {
  Spaces s(4);
  const u64 space = s.make_touched(3);
  const u64 flushes = s.flushes(), walks = s.walks();
  const u32 asid = s.asid();
  s.unmap(space, kPage, 1);
  EXPECT_TRUE(s.reaches(kPage + kPageBytes, Access::kWrite));
  EXPECT_TRUE(s.reaches(kPage + 2 * kPageBytes, Access::kWrite));
  EXPECT_EQ(s.walks(), walks);
  EXPECT_EQ(s.flushes(), flushes);
  EXPECT_EQ(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, ATableTakenFromWhatRunsIsForgottenWithTheWayThere) {
  Spaces s(4);
  const u64 space = s.make_touched(1);
  const u32 asid = s.asid();
  s.unmap(space, kPage, 1);
  EXPECT_NE(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, OneNewAsidIsEnoughForAllThatACallTakes) {
  Spaces s(16);
  const u64 space = s.make_touched(64);
  constexpr u64 kWindows = 4;
  s.map(0, kWindowRange.begin, kWindows, kR | kW | abi::kRegionShared,
        s.call(Call::object_create, {kWindows}));
  for (u64 page = 0; page < kWindows; ++page) {
    EXPECT_TRUE(s.reaches(kWindowRange.begin + pages_to_bytes(page), Access::kWrite));
  }
  const u32 asid = s.asid();
  s.unmap(0, kWindowRange.begin, kWindows - 1);
  EXPECT_EQ(s.asid(), asid + 1);
  s.unmap(space, kPage, 64);
  EXPECT_EQ(s.asid(), asid + 2);
}

// What each takes from `space`, which does not run, is gone when it runs again.
TEST(VmaAsids, WhatIsTakenFromASpaceThatDoesNotRunIsNotUsed) {
  enum class Take : u8 { kUnmap, kUnmapOne, kProtect, kDontNeed, kMove, kClone, kShrinkObject };
  for (const Take take : {Take::kUnmap, Take::kUnmapOne, Take::kProtect, Take::kDontNeed, Take::kMove,
                          Take::kClone, Take::kShrinkObject}) {
    SCOPED_TRACE(static_cast<int>(take));
    Spaces s(8);
    const u64 object = s.call(Call::object_create, {2});
    const u64 space = s.make_touched(2);
    s.map(space, kPage + 2 * kPageBytes, 2, kR | kW | abi::kRegionShared, object);
    ASSERT_TRUE(s.reaches(kPage + 3 * kPageBytes, Access::kWrite));
    const u64 other = s.make_touched();
    switch (take) {
      case Take::kUnmap:
        s.unmap(space, kPage, 4);
        break;
      case Take::kUnmapOne:
        s.unmap(space, kPage, 1);
        break;
      case Take::kProtect:
        s.protect(space, kPage, 1, kR);
        break;
      case Take::kDontNeed:
        s.call(Call::region_advise, {space, kPage.value(), 1, kAdviseDontNeed});
        break;
      case Take::kMove:
        s.call(Call::region_move, {space, kPage.value(), 1, (kPage + 16 * kPageBytes).value()});
        break;
      case Take::kClone:
        s.call(Call::space_clone, {space});
        break;
      case Take::kShrinkObject:
        s.call(Call::object_resize, {object, 1});
        break;
    }
    ASSERT_EQ(s.status, Status::kOk);
    s.activate(space);
    EXPECT_EQ(s.reaches(kPage, Access::kWrite),
              take == Take::kDontNeed || take == Take::kClone || take == Take::kShrinkObject);
    EXPECT_EQ(s.reaches(kPage + 3 * kPageBytes, Access::kRead),
              take != Take::kUnmap && take != Take::kShrinkObject);
    s.activate(other);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(other));
  }
}

TEST(VmaAsids, ARootInTheFrameOfAnotherKnowsNothingOfIt) {
  Spaces s(8);
  const u64 other = s.make_touched();
  const u64 dead = s.make_touched();
  const u64 root = s.guest.vmcb().cr3;
  const u32 asid = s.asid();
  s.activate(other);
  s.call(Call::space_destroy, {dead});
  for (u64 space = s.make();; space = s.make()) {
    s.activate(space);
    if (s.guest.vmcb().cr3 == root) break;
  }
  EXPECT_NE(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, AKernelPageThatIsTakenIsGoneForAll) {
  Spaces s(8);
  const u64 a = s.make_touched(), b = s.make_touched();
  s.map(0, kWindowRange.begin, 2, kR | kW | abi::kRegionShared, s.call(Call::object_create, {2}));
  const u64 kmem = s.call(Call::kmem_alloc, {16});
  const auto expect_reached = [&](bool window, bool memory) {
    for (const u64 space : {a, b}) {
      s.activate(space);
      EXPECT_EQ(s.reaches(kWindowRange.begin, Access::kWrite), window);
      EXPECT_EQ(s.reaches(Gva(kmem), Access::kWrite), memory);
    }
  };
  expect_reached(true, true);
  s.unmap(0, kWindowRange.begin, 1);
  expect_reached(false, true);
  s.call(Call::kmem_free, {kmem, 16});
  expect_reached(false, false);
}

// Pages enough for a table that a clone shares instead of copying it.
constexpr u64 kSharedPages = 80;

TEST(VmaAsids, WhatIsCutFromSharedTablesIsGoneForAllThatHaveThem) {
  Spaces s(8);
  const u64 object = s.call(Call::object_create, {kSharedPages});
  const u64 original = s.make();
  s.map(original, kPage, kSharedPages, kR | kW | abi::kRegionShared | abi::kRegionPopulate, object);
  const u64 clone = s.call(Call::space_clone, {original});
  for (const u64 space : {original, clone}) {
    s.activate(space);
    ASSERT_TRUE(s.reaches(kPage, Access::kRead));
  }
  s.activate(s.make());
  s.call(Call::object_resize, {object, 0});
  for (const u64 space : {original, clone}) {
    s.activate(space);
    EXPECT_FALSE(s.reaches(kPage, Access::kRead));
  }
}

TEST(VmaAsids, TheWayToATableThatIsNoLongerSharedIsForgotten) {
  Spaces s(8);
  const u64 space = s.make();
  s.activate(space);
  s.map(space, kPage, kSharedPages, kR | kW | abi::kRegionPopulate);
  s.call(Call::space_clone, {space});
  ASSERT_TRUE(s.reaches(kPage, Access::kRead));
  s.unmap(space, kPage + kPageBytes, 1);
  EXPECT_TRUE(s.reaches(kPage, Access::kRead));
  EXPECT_FALSE(s.reaches(kPage + kPageBytes, Access::kRead));
}

// --- many spaces, few ASIDs
// ---------------------------------------------------------------------------------

class RandomSpaces {
 public:
  RandomSpaces(u64 seed, u32 asids) : s_(asids), random_(seed) {
    for (u64& object : objects_) object = s_.call(Call::object_create, {kObjectPages});
    for (int i = 0; i < 3; ++i) make();
  }

  void run(u64 operations) {
    while (operations-- != 0 && !testing::Test::HasFailure()) step();
  }
  // Switches to a space that nothing was taken from since it ran.
  u64 plain_switches = 0;
  u64 refused = 0;   // accesses
  u64 answered = 0;  // calls that did what they were asked
  u64 calls = 0;
  [[nodiscard]] u64 flushes() { return s_.flushes(); }

 private:
  static constexpr u64 kMostSpaces = 7, kObjectPages = kSharedPages;
  // Leaf tables side by side, one far away; one that clones share.
  static constexpr Gva kLarge{0x5000'0000};
  static constexpr Gva kPages[] = {kPage,
                                   kPage + kPageBytes,
                                   kPage + 511 * kPageBytes,
                                   kPage + 512 * kPageBytes,
                                   kPage + 513 * kPageBytes,
                                   kLarge,
                                   kLarge + kPageBytes,
                                   kLarge + 40 * kPageBytes,
                                   Gva(0x70'0000'0000)};

  u64 below(u64 limit) { return random_() % limit; }
  Gva page() { return kPages[below(std::size(kPages))]; }
  u64 any_space() { return below(2) != 0 ? current_ : spaces_[below(spaces_.size())]; }
  u64 rights() { return below(3) == 0 ? kR : kR | kW | (below(4) == 0 ? kX : 0); }

  void step() {
    const u64 what = below(100);
    if (what < 55) {
      const Gva va = what < 50 ? page() : what < 53 ? kWindowRange.begin + below(2) * kPageBytes : Gva(kmem_);
      if (va != Gva() && !s_.reaches(va, below(2) != 0 ? Access::kWrite : Access::kRead)) ++refused;
    } else if (what < 80) {
      activate(spaces_[below(spaces_.size())]);
    } else {
      change(what);
    }
  }
  // Whatever it takes away, it may be anybody's.
  void change(u64 what) {
    known_.clear();
    const u64 space = any_space();
    switch (what) {
      case 80:
        make();
        break;
      case 81:
      case 82:
        clone(space);
        break;
      case 83:
      case 84:
      case 85:
        destroy(spaces_[below(spaces_.size())]);
        break;
      case 86:
        s_.map(space, kLarge, kSharedPages, kR | kW | abi::kRegionPopulate);
        break;
      case 87:
        s_.map(space, kLarge, kSharedPages, kR | kW | abi::kRegionShared | abi::kRegionPopulate, objects_[0]);
        break;
      case 88:
        s_.map(space, page(), 1 + below(3), rights(), 0);
        break;
      case 89:
        s_.map(space, page(), 1 + below(3), rights() | (below(2) != 0 ? abi::kRegionShared : 0),
               objects_[below(std::size(objects_))]);
        break;
      case 90:
      case 91:
        s_.unmap(space, page(), 1 + below(3));
        break;
      case 92:
        s_.unmap(space, kLarge, kSharedPages);
        break;
      case 93:
        s_.protect(space, page(), 1 + below(2), below(4) == 0 ? 0 : rights());
        break;
      case 94:
        s_.protect(space, kLarge, kSharedPages, rights());
        break;
      case 95:
        s_.call(Call::region_advise,
                {space, page().value(), 1, below(2) != 0 ? kAdviseDontNeed : kAdvisePopulate});
        break;
      case 96:
        s_.call(Call::region_move, {space, page().value(), 1, page().value()});
        break;
      case 97:
        s_.call(Call::object_resize,
                {objects_[below(std::size(objects_))], below(4) != 0 ? kObjectPages : below(kObjectPages)});
        break;
      case 98:
        if (below(2) != 0) {
          s_.map(0, kWindowRange.begin, 2, kR | kW | abi::kRegionShared, objects_[0]);
        } else {
          s_.unmap(0, kWindowRange.begin + below(2) * kPageBytes, 1);
        }
        break;
      default:
        if (kmem_ == 0) {
          kmem_ = s_.call(Call::kmem_alloc, {16});
        } else {
          s_.call(Call::kmem_free, {kmem_, 16});
          kmem_ = 0;
        }
        break;
    }
    ++calls;
    if (s_.status == Status::kOk) ++answered;
  }
  void make() {
    if (spaces_.size() < kMostSpaces) spaces_.push_back(s_.make());
    if (current_ == 0) activate(spaces_[0]);
  }
  void clone(u64 space) {
    if (spaces_.size() == kMostSpaces) return;
    if (const u64 made = s_.call(Call::space_clone, {space}); made != 0) spaces_.push_back(made);
  }
  void destroy(u64 space) {
    if (space == current_) return;
    s_.call(Call::space_destroy, {space});
    if (s_.status == Status::kOk) std::erase(spaces_, space);
  }
  // Nothing is flushed when its ASID is as it was left.
  void activate(u64 space) {
    const u64 flushes = s_.flushes();
    if (flushes != flushes_) known_.clear();
    if (current_ != 0) {
      // Of roots that fall to one entry of the table, the last has it.
      std::erase_if(known_, [&](const auto& item) { return entry(item.second.root) == entry(root()); });
      known_[current_] = {root(), s_.asid()};
    }
    const auto left = known_.find(space);
    s_.activate(space);
    current_ = space;
    if (left != known_.end() && left->second.root == root()) {
      ++plain_switches;
      EXPECT_EQ(s_.asid(), left->second.asid);
      EXPECT_EQ(s_.flushes(), flushes);
    }
    flushes_ = flushes;
  }
  [[nodiscard]] u64 root() { return s_.guest.vmcb().cr3; }
  static u64 entry(u64 root) { return (root >> kPageShift) % hv::AsidTable::kEntries; }

  struct Left {
    u64 root;
    u32 asid;
  };
  Spaces s_;
  std::mt19937_64 random_;
  std::vector<u64> spaces_;
  u64 objects_[2]{};
  u64 current_ = 0;
  u64 kmem_ = 0;
  u64 flushes_ = 0;
  std::map<u64, Left> known_;  // spaces that nothing was taken from since
};

TEST(VmaAsids, NoStaleTranslationIsEverUsed) {
  constexpr u32 kAsids[] = {2, 3, 5, 16};
  const u64 operations = test::operations(24'000) / std::size(kAsids);
  for (const u64 seed : test::seeds()) {
    for (const u32 asids : kAsids) {
      SCOPED_TRACE(testing::Message() << "NOPTE_SEED=" << seed << ", " << asids << " ASIDs");
      RandomSpaces run(seed, asids);
      run.run(operations);
      ASSERT_FALSE(HasFailure());
      // It is not about nothing.
      EXPECT_GT(run.answered, run.calls / 2);
      EXPECT_GT(run.refused, operations / 50);
      if (asids > 3) {
        EXPECT_GT(run.plain_switches, operations / 100);
      }
      EXPECT_GT(run.flushes(), 1u);
    }
  }
}

}  // namespace
}  // namespace nopte::model
