// Random operations on a RegionTree against a model: one entry per page. The whole list, the objects' lists
// and the gaps are compared every 64 operations and at the end of each seed.
#include <absl/container/btree_map.h>
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "pvops/mm_ops.h"
#include "pvops/regions/region_tree.h"
#include "tests/support/counting_nodes.h"
#include "tests/support/histogram.h"
#include "tests/support/seeds.h"
#include "tests/unit/pvops/random_regions.h"
#include "tests/unit/pvops/region_model.h"

namespace nopte {
namespace {

constexpr u64 kOperations = 1'500'000;  // over all seeds

using test::kBounds, test::kPages, test::Listed, test::listed, test::Model, test::ModelPage;

struct TestList : RegionList {};

class RandomRun : test::RandomRegions {
 public:
  RandomRun(u64 seed, test::Histogram& histogram) : RandomRegions(seed, kObjects), histogram_(histogram) {
    tree_->set_space(SpaceId{1});
  }

  void operations(u64 count) {
    for (u64 done = 1; done <= count && !testing::Test::HasFatalFailure(); ++done) {
      one();
      if (done % 64 == 0) compare();
    }
    compare();
    tree_->clear();
    model_.clear();
    compare();
  }

 private:
  static constexpr u32 kObjects = 3;

  RegionList* list_of(const RegionSpec& s) {
    return s.object == ObjectId::kNone ? nullptr : &lists_[static_cast<u32>(s.object) - 1];
  }
  u64 first_of(VaRange r) { return (r.begin - kBounds.begin) >> kPageShift; }

  // Lets allocations fail sometimes.
  void ration() {
    if (chance(15)) {
      nodes_.allow(below(2));
    } else {
      nodes_.allow_all();
    }
  }
  // Commits or drops the plan; true: committed.
  bool finish(const char* name, Result<RegionPlan>& plan, Status expected) {
    nodes_.allow_all();
    const Status got = plan ? Status::kOk : plan.error();
    histogram_.add(name, got);
    if (got != expected) {
      // Memory can be missing at any point that needs it, and only then is another answer right.
      EXPECT_EQ(got, Status::kNoMemory) << name;
      EXPECT_EQ(expected, Status::kOk) << name;
      return false;
    }
    if (!plan) return false;
    if (chance(5)) {
      histogram_.add(name, "dropped");
      return false;
    }
    tree_->commit(*plan);
    return true;
  }

  bool any(VaRange r) {
    const auto it = model_.lower_bound(first_of(r));
    return it != model_.end() && it->first < first_of(r) + r.pages();
  }
  bool all(VaRange r) {
    for (u64 i = first_of(r); i < first_of(r) + r.pages(); ++i) {
      if (!model_.contains(i)) return false;
    }
    return true;
  }
  // Whether the range lies in one run of the canonical list.
  bool in_one_region(VaRange r) {
    for (const Listed& region : listed(model_)) {
      if (region.spec.range.contains(r)) return true;
    }
    return false;
  }
  void erase(VaRange r) {
    model_.erase(model_.lower_bound(first_of(r)), model_.lower_bound(first_of(r) + r.pages()));
  }
  void add(const RegionSpec& s, u32 tag) {
    for (u64 i = 0; i < s.range.pages(); ++i) {
      const bool anonymous = s.object == ObjectId::kNone;
      model_[first_of(s.range) + i] = {
          s.perm, s.sharing, s.usage, static_cast<u32>(s.object), anonymous ? 0 : s.object_page + i, tag};
    }
  }

  void one() {
    ration();
    switch (below(10)) {
      case 0:
      case 1: {
        const RegionSpec s = spec();
        const u32 tag = chance(90) ? 0 : 1;
        auto plan = tree_->prepare_insert(s, tag, list_of(s));
        const Status expected = !valid(s) ? Status::kInvalid : any(s.range) ? Status::kOverlap : Status::kOk;
        if (finish("insert", plan, expected)) add(s, tag);
        break;
      }
      case 2: {
        const RegionSpec s = spec();
        auto plan = tree_->prepare_replace(s, 0, list_of(s));
        if (plan && chance(5)) {
          histogram_.add("replace", "only unmap");
          nodes_.allow_all();
          plan->only_unmap();
          tree_->commit(*plan);
          erase(s.range);
          break;
        }
        if (finish("replace", plan, valid(s) ? Status::kOk : Status::kInvalid)) {
          erase(s.range);
          add(s, 0);
        }
        break;
      }
      case 3: {
        const VaRange r = range();
        auto plan = tree_->prepare_unmap(r);
        if (plan) {
          EXPECT_EQ(plan->changes(), any(r));
        }
        if (finish("unmap", plan, valid(r) ? Status::kOk : Status::kInvalid)) erase(r);
        break;
      }
      case 4:
      case 5: {
        VaRange r = range();
        if (chance(70)) r = existing(r);
        const Perm p = perm();
        auto plan = tree_->prepare_protect(r, p);
        const Status expected = !valid(r) ? Status::kInvalid : all(r) ? Status::kOk : Status::kNoRegion;
        if (finish("protect", plan, expected)) {
          for (u64 i = 0; i < r.pages(); ++i) model_[first_of(r) + i].perm = p;
        }
        break;
      }
      case 6: {
        VaRange r = range();
        if (chance(80)) r = existing(r);
        const Gva to = chance(95) ? at(below(kPages)) : any_address();
        auto plan = tree_->prepare_move(r, to);
        Status expected = Status::kOk;
        if (!valid(r) || !to.page_aligned() || !kBounds.contains(to) || kBounds.end - to < r.bytes()) {
          expected = Status::kInvalid;
        } else if (!in_one_region(r)) {
          expected = Status::kNoRegion;
        } else if (any({to, to + r.bytes()})) {
          expected = Status::kOverlap;
        }
        if (finish("move", plan, expected)) {
          std::vector<ModelPage> moved;
          for (u64 i = 0; i < r.pages(); ++i) moved.push_back(model_[first_of(r) + i]);
          erase(r);
          const u64 target = (to - kBounds.begin) >> kPageShift;
          for (u64 i = 0; i < moved.size(); ++i) model_[target + i] = moved[i];
        }
        break;
      }
      case 7: {
        VaRange r = range();
        if (chance(30)) r = existing(r);
        if (chance(30)) {
          mark(r);
          break;
        }
        const UsageChange change = use();
        const u64 most = chance(80) ? ~u64{0} : 1 + below(3);
        auto plan = tree_->prepare_use(r, change, most);
        if (plan) {
          EXPECT_EQ(plan->range(), up_to(r, most));
          EXPECT_EQ(plan->changes(), changed_by(plan->range(), change));
          r = plan->range();
        }
        if (finish("use", plan, valid(r) ? Status::kOk : Status::kInvalid)) {
          for_each(r, [change](ModelPage& page) { page.usage = change.of(page.usage); });
        }
        break;
      }
      case 8: {
        nodes_.allow_all();
        find();
        gap();
        break;
      }
      default: {
        if (chance(97)) {
          find();
          break;
        }
        copy();
        break;
      }
    }
  }

  void mark(VaRange r) {
    const u32 mask = 1 + below(3);
    const u32 bits = below(4) & mask;
    auto plan = tree_->prepare_mark(r, mask, bits);
    if (plan) {
      bool changed = false;
      for_each(r, [&](const ModelPage& page) { changed |= (page.tag & mask) != bits; });
      EXPECT_EQ(plan->changes(), changed);
    }
    if (finish("mark", plan, valid(r) ? Status::kOk : Status::kInvalid)) {
      for_each(r, [=](ModelPage& page) { page.tag = (page.tag & ~mask) | bits; });
    }
  }

  template <class Visit>
  void for_each(VaRange r, Visit visit) {
    const auto end = model_.lower_bound(first_of(r) + r.pages());
    for (auto it = model_.lower_bound(first_of(r)); it != end; ++it) visit(it->second);
  }
  bool changed_by(VaRange r, UsageChange change) {
    bool changed = false;
    for_each(r, [&](const ModelPage& page) { changed |= change.of(page.usage) != page.usage; });
    return changed;
  }
  // What the first `most` regions of it leave of a range, where it has more.
  VaRange up_to(VaRange r, u64 most) {
    Gva end = r.begin;
    for (const Listed& region : listed(model_)) {
      if (!region.spec.range.overlaps(r)) continue;
      if (most-- == 0) return {r.begin, end};
      end = region.spec.range.end;
    }
    return r;
  }

  // A range that lies in one region, near r.
  VaRange existing(VaRange r) {
    const auto regions = listed(model_);
    if (regions.empty() || !valid(r)) return r;
    const VaRange whole = regions[below(regions.size())].spec.range;
    const u64 first = below(whole.pages());
    return VaRange::of_pages(whole.begin + pages_to_bytes(first), 1 + below(whole.pages() - first));
  }

  void find() {
    const Gva va = chance(98) ? kBounds.begin + below(kBounds.bytes()) : any_address();
    // Some who ask keep what they remember through whatever happens to the tree.
    const auto found = chance(75) ? tree_->find(va, hints_[below(hints_.size())]) : tree_->find(va);
    const auto page = model_.find((va - kBounds.begin) >> kPageShift);
    const bool expected = kBounds.contains(va) && page != model_.end();
    ASSERT_EQ(found.has_value(), expected);
    histogram_.add("find", expected ? Status::kOk : Status::kNoRegion);
    if (!expected) return;
    EXPECT_TRUE(found->range.contains(va));
    EXPECT_EQ(found->perm, page->second.perm);
    EXPECT_EQ(found->usage, page->second.usage);
    EXPECT_EQ(static_cast<u32>(found->object), page->second.object);
  }

  void gap() {
    const u64 count = 1 + below(chance(80) ? 8 : kPages);
    VaRange within = kBounds;
    if (chance(50)) within = VaRange::of_pages(at(below(kPages)), 1 + below(kPages));
    const u64 align = chance(80) ? 1 : u64{1} << below(5);
    // The highest place, by trying all.
    std::optional<u64> expected;
    for (u64 i = 0; i + count <= kPages; ++i) {
      const VaRange r = VaRange::of_pages(at(i), count);
      if (within.contains(r) && r.begin.page() % align == 0 && !any(r)) expected = i;
    }
    const auto got = tree_->find_gap(within, count, align * kPageBytes);
    histogram_.add("find_gap", got ? Status::kOk : got.error());
    ASSERT_EQ(got.has_value(), expected.has_value());
    if (got) {
      ASSERT_EQ(*got, at(*expected));
    }
  }

  // The copy is the tree from here on: what it is made of is searched, changed and rebalanced.
  void copy() {
    auto gaps = std::make_unique<GapIndex>();
    auto other = std::make_unique<RegionTree>(kBounds, nodes_, gaps.get());
    other->set_space(SpaceId{1});
    const bool starve = chance(50);
    if (starve) {
      nodes_.allow(below(4));
    } else {
      nodes_.allow_all();
    }
    const auto copied = other->copy_from(*tree_);
    nodes_.allow_all();
    histogram_.add("copy", copied ? Status::kOk : copied.error());
    EXPECT_TRUE(other->consistent());
    EXPECT_TRUE(tree_->consistent());
    if (copied) {
      EXPECT_EQ(listed(*other), listed(*tree_));
      tree_ = std::move(other);  // the old one goes before the gaps that it is indexed by
      gaps_ = std::move(gaps);
      hints_ = {};
    } else {
      EXPECT_TRUE(starve);
      EXPECT_EQ(other->regions(), 0u);
    }
  }

  void compare() {
    ASSERT_TRUE(tree_->consistent());
    ASSERT_EQ(listed(*tree_), listed(model_));
    ASSERT_EQ(nodes_.live(), tree_->regions());
    // Reverse map: every object reports exactly the pages that the model shows it at.
    for (u32 object = 1; object <= lists_.size(); ++object) {
      const u64 first = below(64);
      const u64 count = below(64);
      absl::btree_map<u64, u64> reported;  // page index to how often
      lists_[object - 1].for_each(first, count, [&](SpaceId space, VaRange r) {
        EXPECT_EQ(space, SpaceId{1});
        for (u64 i = 0; i < r.pages(); ++i) ++reported[first_of(r) + i];
      });
      absl::btree_map<u64, u64> expected;
      for (const auto& [index, page] : model_) {
        if (page.object == object && first <= page.object_page && page.object_page < first + count) {
          ++expected[index];
        }
      }
      ASSERT_EQ(reported, expected);
    }
  }

  test::Histogram& histogram_;
  std::array<TestList, kObjects> lists_;
  test::CountingNodes nodes_;
  std::unique_ptr<GapIndex> gaps_ = std::make_unique<GapIndex>();
  std::unique_ptr<RegionTree> tree_ = std::make_unique<RegionTree>(kBounds, nodes_, gaps_.get());
  std::array<RegionHint, 3> hints_;
  Model model_;
};

TEST(RegionTreeModel, RandomOperationsAgree) {
  test::Histogram histogram;
  const auto seeds = test::seeds();
  for (const u64 seed : seeds) {
    SCOPED_TRACE(testing::Message() << "NOPTE_SEED=" << seed);
    RandomRun run(seed, histogram);
    run.operations(kOperations / seeds.size());
    if (HasFailure()) break;
  }
  histogram.print();
  constexpr u64 kLeast = 1000;
  using enum Status;
  for (Status s : {kOk, kInvalid, kOverlap, kNoMemory}) histogram.expect_at_least("insert", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("replace", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("unmap", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion, kNoMemory}) histogram.expect_at_least("protect", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("use", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("mark", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion, kOverlap, kNoMemory})
    histogram.expect_at_least("move", s, kLeast);
  for (Status s : {kOk, kNoRegion}) histogram.expect_at_least("find", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("find_gap", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("copy", s, kLeast);
}

}  // namespace
}  // namespace nopte
