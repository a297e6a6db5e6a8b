// Random operations on address spaces (up to three, clones of each other) against a model with one entry per
// page, over a fake backend whose calls sometimes fail. The whole lists of every space, the guest's and the
// backend's, and the objects that live are compared every 64 operations, after every error, and at the end.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>

#include "tests/support/fake_mm_ops.h"
#include "tests/support/histogram.h"
#include "tests/unit/guest-mm/address_space_model.h"

namespace nopte::guest {

class RandomRun {
 public:
  RandomRun(u64 seed, test::Histogram& histogram) : random_(seed), histogram_(histogram) {
    for (auto& file : files_) file = MemoryObject::create(pages_to_bytes(64)).value();
    add_space();
  }

  void operations(u64 count) {
    for (u64 done = 1; done <= count && !testing::Test::HasFailure(); ++done) {
      one();
      if (done % 64 == 0) compare_all();
    }
    compare_all();
    spaces_.clear();
    EXPECT_EQ(fake_.spaces(), 0u);
    EXPECT_EQ(fake_.objects(), files_.size());
    for (auto& file : files_) file = nullptr;
    EXPECT_EQ(fake_.objects(), 0u);
  }

 private:
  struct Entry {
    Ref<AddressSpace> space;
    Model model;
  };

  u64 below(u64 limit) { return random_() % limit; }
  bool chance(u64 percent) { return below(100) < percent; }
  Perm perm() {
    constexpr std::array<Perm, 5> kPerms{kPermNone, kPermR, kPermRW, kPermRW, kPermRX};
    return kPerms[below(kPerms.size())];
  }
  u64 length() { return 1 + below(chance(6) ? 250 : 10); }

  // Whether a call failed on request.
  bool failure_happened() {
    const bool asked = fake_.failed();
    fake_.fail_at(0);
    return asked && asked_;
  }

  template <class T>
  static Status status(const Result<T>& result) {
    return result ? Status::kOk : result.error();
  }

  // Checks an outcome. True when the model is to be changed as for success.
  bool judge(const char* name, Entry& entry, Status got, Status expected, bool injected,
             const std::vector<Model>& prefixes = {}) {
    histogram_.add(name, got);
    if (got == Status::kNoMemory && injected) {
      // As before, or a documented prefix.
      const auto now = listed(*entry.space);
      if (now != entry.model.list()) {
        const auto match = std::find_if(prefixes.begin(), prefixes.end(),
                                        [&](const Model& prefix) { return prefix.list() == now; });
        EXPECT_NE(match, prefixes.end()) << name << ": neither as before nor a documented prefix";
        if (match != prefixes.end()) entry.model = Model(*match);
        histogram_.add(name, "prefix");
      }
      return false;
    }
    EXPECT_EQ(got, expected) << name << ": got " << status_name(got) << ", expected "
                             << status_name(expected);
    return got == Status::kOk;
  }

  void add_space() { spaces_.push_back({AddressSpace::create().value(), {}}), reset_brk(spaces_.back()); }
  void reset_brk(Entry& entry) {
    entry.space->set_brk_start(address(kHeap));
    entry.model.brk = address(kHeap);
  }

  void one() {
    Entry& entry = spaces_[below(spaces_.size())];
    if (entry.model.pages.size() > 500) {
      EXPECT_TRUE(entry.space->unmap(kUserRange));
      entry.model.pages.clear();
    }
    asked_ = chance(10);
    fake_.fail_at(asked_ ? 1 + below(3) : 0);
    switch (below(23)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return map(entry);
      case 5:
      case 6:
      case 7:
        return unmap(entry);
      case 8:
      case 9:
      case 10:
      case 11:
        return protect(entry);
      case 12:
      case 13:
      case 14:
        return remap(entry);
      case 15:
      case 16:
        return advise(entry);
      case 17:
        return brk(entry);
      case 18:
        return stack(entry);
      case 19:
      case 20:
        return use(entry);
      case 21:
        return mark(entry);
      default:
        return chance(10) ? life() : find(entry);
    }
  }

  void add(Model& model, u64 first, u64 count, const ModelPage& page) {
    for (u64 i = 0; i < count; ++i) {
      ModelPage each = page;
      if (page.object != ObjectId::kNone) each.object_page += i;
      model.pages[first + i] = each;
    }
  }
  static bool counted(const ModelPage& page) {
    return page.sharing == Sharing::kPrivate && page.perm.write() && (page.flags & kVmaNoReserve) == 0;
  }

  // A place chosen by the space: free, in bounds, with the gap that a stack above needs.
  void expect_good_place(const Model& model, u64 first, u64 count) {
    EXPECT_FALSE(model.any(first, count));
    EXPECT_TRUE(kUserRange.contains(pages(first, count)));
    const auto above = model.pages.lower_bound(first);
    if (above != model.pages.end() && (above->second.flags & kVmaGrowsDown) != 0) {
      EXPECT_GE(above->first - (first + count), kStackGuardPages);
    }
  }

  // One operation each, with what is expected of it.
  void map(Entry& entry);
  void unmap(Entry& entry);
  void protect(Entry& entry);
  void remap(Entry& entry);
  void mark(Entry& entry);
  void advise(Entry& entry);
  void use(Entry& entry);
  void brk(Entry& entry);
  void stack(Entry& entry);
  void find(Entry& entry);
  static bool has_region_beyond_memory(const Entry& entry);
  void life();

  // Mostly in the arena, sometimes around something that is mapped, sometimes malformed.
  VaRange range(const Model& model) {
    u64 first = kArena + below(kArenaPages);
    if (chance(40) && !model.pages.empty()) {
      auto it = model.pages.lower_bound(model.pages.begin()->first + below(400));
      if (it != model.pages.end()) first = it->first;
      if (chance(20)) first = model.pages.rbegin()->first - below(4);
    }
    VaRange r = pages(first, length());
    if (chance(4)) r.end = r.begin;
    if (chance(3)) r.begin += 1;
    return r;
  }
  static bool valid(VaRange r) { return r.page_aligned() && !r.empty(); }

  void compare_all() {
    std::set<ObjectId> alive;
    for (const auto& file : files_) alive.insert(file->id());
    for (const Entry& entry : spaces_) {
      ASSERT_TRUE(entry.space->tree().consistent());
      const auto expected = entry.model.list();
      ASSERT_EQ(listed(*entry.space), expected);
      // The backend's list, which knows no flags.
      Model plain;
      for (const auto& [number, page] : entry.model.pages) {
        plain.pages[number] = page;
        plain.pages[number].flags = 0;
        if (page.object != ObjectId::kNone) alive.insert(page.object);
      }
      std::vector<RegionSpec> specs;
      for (const Listed& each : plain.list()) specs.push_back(each.spec);
      ASSERT_EQ(fake_.regions(entry.space->id()), specs);
      ASSERT_EQ(entry.space->pages(), entry.model.pages.size());
    }
    ASSERT_EQ(fake_.objects(), alive.size());
    ASSERT_EQ(fake_.spaces(), spaces_.size());
  }

  std::mt19937_64 random_;
  test::Histogram& histogram_;
  test::FakeMmOps fake_{kTotalPages};
  std::array<Ref<MemoryObject>, 2> files_;
  std::vector<Entry> spaces_;
  bool asked_ = false;  // a failure was asked for
};

}  // namespace nopte::guest
