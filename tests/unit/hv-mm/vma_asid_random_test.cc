// Many spaces on few ASIDs: calls on those that run and those that do not, on objects and kernel memory,
// between accesses and switches; some processors have FlushByAsid. NOPTE_SEED=n NOPTE_OPERATIONS=100000000 is
// the long run.
#include <absl/container/btree_map.h>

#include <random>

#include "hv-mm/container/asid_table.h"
#include "tests/support/seeds.h"
#include "tests/unit/hv-mm/vma_spaces.h"

namespace nopte::model {
namespace {

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
      absl::erase_if(known_, [&](const auto& item) { return entry(item.second.root) == entry(root()); });
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
  absl::btree_map<u64, Left> known_;  // spaces that nothing was taken from since
};

TEST(VmaAsids, NoStaleTranslationIsEverUsed) {
  constexpr u32 kAsids[] = {2, 3, 5, 16};
  const u64 operations = test::operations(24'000) / std::size(kAsids);
  for (const u64 seed : test::seeds()) {
    for (const u32 asids : kAsids) {
      const Processors processors(asids % 2 != 0);
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
