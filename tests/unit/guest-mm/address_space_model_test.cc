// Random operations on address spaces (up to three, clones of each other) against a model with one entry per
// page, over a fake backend whose calls sometimes fail. The whole lists of every space, the guest's and the
// backend's, and the objects that live are compared every 64 operations, after every error, and at the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "guest-mm/core/address_space.h"
#include "tests/support/fake_mm_ops.h"
#include "tests/support/histogram.h"
#include "tests/support/seeds.h"

namespace nopte::guest {
namespace {

constexpr u64 kOperations = 1'040'000;  // over all seeds
constexpr u64 kTotalPages = 128;        // of the machine: bigger requests are refused
constexpr u64 kArenaPages = 192;        // where fixed mappings go
constexpr u64 kHeapPages = 96;          // above it
// Page numbers.
constexpr u64 kArena = 0x1'0000;
constexpr u64 kHeap = kArena + kArenaPages;
constexpr u64 kStack = kHeap + 0x4000;  // the end of a stack below which are some hundred free pages

constexpr Gva address(u64 page) { return Gva{pages_to_bytes(page)}; }
constexpr VaRange pages(u64 first, u64 count) { return VaRange::of_pages(address(first), count); }

struct ModelPage {
  Perm perm;
  Sharing sharing;
  ObjectId object;
  u64 object_page;
  u32 flags;
  friend bool operator==(const ModelPage&, const ModelPage&) = default;
};

bool continues(const ModelPage& low, const ModelPage& high) {
  return low.perm == high.perm && low.sharing == high.sharing && low.object == high.object &&
         low.flags == high.flags &&
         (low.object == ObjectId::kNone || low.object_page + 1 == high.object_page);
}

struct Listed {
  RegionSpec spec;
  u32 flags;
  friend bool operator==(const Listed&, const Listed&) = default;
};

struct Model {
  std::map<u64, ModelPage> pages;
  Gva brk{};

  [[nodiscard]] bool any(u64 first, u64 count) const {
    const auto it = pages.lower_bound(first);
    return it != pages.end() && it->first < first + count;
  }
  [[nodiscard]] bool has(u64 page) const { return pages.contains(page); }
  void erase(u64 first, u64 count) {
    pages.erase(pages.lower_bound(first), pages.lower_bound(first + count));
  }
  // Pages [first, result) lie in the region that contains `first`.
  [[nodiscard]] u64 region_end(u64 first) const {
    auto it = pages.find(first);
    u64 end = first + 1;
    for (auto high = std::next(it);
         high != pages.end() && high->first == end && continues(it->second, high->second); it = high++) {
      ++end;
    }
    return end;
  }
  [[nodiscard]] std::vector<Listed> list() const {
    std::vector<Listed> out;
    const ModelPage* last = nullptr;
    for (const auto& [number, page] : pages) {
      if (last != nullptr && out.back().spec.range.end == address(number) && continues(*last, page)) {
        out.back().spec.range.end += kPageBytes;
      } else {
        out.push_back({{.range = nopte::guest::pages(number, 1),
                        .perm = page.perm,
                        .sharing = page.sharing,
                        .object = page.object,
                        .object_page = page.object_page},
                       page.flags});
      }
      last = &page;
    }
    return out;
  }
};

std::vector<Listed> listed(const AddressSpace& space) {
  std::vector<Listed> out;
  for (const RegionNode* node = space.tree().first(); node != nullptr; node = space.tree().next(*node)) {
    out.push_back({node->spec, node->tag});
  }
  return out;
}

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
    switch (below(20)) {
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

  void map(Entry& entry) {
    const u64 first = kArena + below(kArenaPages + (chance(10) ? kHeapPages : 0));
    const u64 count = length();
    MapRequest request{
        .hint = address(first), .bytes = pages_to_bytes(count) - below(kPageBytes), .perm = perm()};
    request.placement = chance(60)   ? Placement::kFixed
                        : chance(50) ? Placement::kFixedNoReplace
                                     : Placement::kAnywhere;
    if (chance(3)) request.bytes = 0;
    if (chance(3)) request.hint += 1 + below(kPageMask);
    if (chance(2)) request.bytes = kUserRange.bytes() + below(kPageBytes);
    if (chance(50)) request.sharing = Sharing::kShared;
    const bool file = chance(40);
    if (file) {
      request.object = files_[below(files_.size())];
      request.offset_bytes = pages_to_bytes(chance(70) ? first - kArena : below(64));
      if (request.sharing == Sharing::kShared && chance(45)) request.flags |= kVmaNoWrite;
    }
    if (chance(15)) request.flags |= kVmaNoReserve;
    request.populate = chance(10);

    Model prefix = entry.model;
    const auto got = entry.space->map(request);
    const bool injected = failure_happened();
    const u64 wanted = bytes_to_pages(request.bytes);
    ModelPage page{request.perm, request.sharing, ObjectId::kNone, 0, request.flags};
    if (file)
      page = {request.perm, request.sharing, request.object->id(), request.offset_bytes >> kPageShift,
              request.flags};
    const bool fixed = request.placement != Placement::kAnywhere;
    const bool shared_anonymous = !file && request.sharing == Sharing::kShared;
    Status expected = Status::kOk;
    if (request.bytes == 0) {
      expected = Status::kInvalid;
    } else if (wanted > kUserRange.pages()) {
      expected = Status::kNoMemory;
    } else if ((request.flags & kVmaNoWrite) != 0 && request.perm.write()) {
      expected = Status::kPermission;
    } else if (fixed && !request.hint.page_aligned()) {
      expected = Status::kInvalid;
    } else if (wanted == kUserRange.pages()) {
      expected = Status::kNoMemory;
    } else if (request.placement == Placement::kFixedNoReplace && entry.model.any(first, wanted)) {
      expected = Status::kOverlap;
    } else if (wanted > kTotalPages &&
               (shared_anonymous ? (request.flags & kVmaNoReserve) == 0 : counted(page))) {
      expected = Status::kNoMemory;
    }
    if (request.placement == Placement::kFixed && expected == Status::kOk) prefix.erase(first, wanted);
    if (!judge("map", entry, status(got), expected, injected, {prefix})) return;
    const u64 at = got->page();
    if (fixed) {
      EXPECT_EQ(at, first);
      entry.model.erase(at, wanted);
    } else {
      expect_good_place(entry.model, at, wanted);
    }
    if (shared_anonymous) page.object = entry.space->tree().find(*got)->object;
    add(entry.model, at, wanted, page);
  }

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

  void unmap(Entry& entry) {
    const VaRange r = range(entry.model);
    const auto got = entry.space->unmap(r);
    const bool injected = failure_happened();
    if (judge("unmap", entry, status(got), valid(r) ? Status::kOk : Status::kInvalid, injected)) {
      entry.model.erase(r.begin.page(), r.pages());
    }
  }

  void protect(Entry& entry) {
    const VaRange r = range(entry.model);
    const Perm p = perm();
    const auto got = entry.space->protect(r, p);
    const bool injected = failure_happened();
    if (!valid(r)) {
      judge("protect", entry, status(got), Status::kInvalid, injected);
      return;
    }
    // Region by region, as far as it goes.
    Model after = entry.model;
    Status expected = Status::kOk;
    for (u64 page = r.begin.page(); page < r.end.page() && expected == Status::kOk;) {
      if (!entry.model.has(page)) {
        expected = Status::kNoRegion;
        break;
      }
      const ModelPage& first = entry.model.pages.at(page);
      const u64 end = std::min(entry.model.region_end(page), r.end.page());
      ModelPage changed = first;
      changed.perm = p;
      if (p.write() && !first.perm.write()) {
        if ((first.flags & kVmaNoWrite) != 0)
          expected = Status::kPermission;
        else if (counted(changed) && end - page > kTotalPages)
          expected = Status::kNoMemory;
      }
      if (expected != Status::kOk) break;
      for (; page < end; ++page) after.pages.at(page).perm = p;
    }
    const Status status_got = status(got);
    if (judge("protect", entry, status_got, expected, injected, {after}) ||
        (!injected && status_got == expected)) {
      entry.model = after;
    }
  }

  void remap(Entry& entry) {
    Model& model = entry.model;
    RemapRequest request{.old = range(model), .new_pages = chance(3) ? 0 : length()};
    if (valid(request.old) && model.has(request.old.begin.page()) && chance(80)) {
      // All of, or a part of, one region.
      const u64 first = request.old.begin.page();
      const u64 most = model.region_end(first) - first;
      request.old = pages(first, chance(50) ? most : 1 + below(most));
    }
    request.may_move = chance(70);
    if (request.may_move && chance(40)) {
      request.fixed = true;
      request.new_address = address(kArena + below(kArenaPages)) + (chance(3) ? 1 : 0);
    }
    if (chance(1)) request.new_pages = kUserRange.pages() + 1;
    const auto got = entry.space->remap(request);
    const bool injected = failure_happened();

    const VaRange old = request.old;
    const u64 to = request.new_address.page();
    Model after = model;
    std::vector<Model> prefixes;
    u64 first = old.begin.page();
    u64 old_pages = old.pages();
    bool moved = false;
    const auto expect = [&]() -> Status {
      if (!valid(old) || request.new_pages == 0 || request.new_pages > kUserRange.pages())
        return Status::kInvalid;
      if (request.fixed) {
        const VaRange target = pages(to, request.new_pages);
        if (!request.new_address.page_aligned() || target.overlaps(old)) return Status::kInvalid;
      }
      if (!model.has(first)) return Status::kBadAddress;
      if (request.fixed) {
        after.erase(to, request.new_pages);
        prefixes.push_back(after);
      }
      if (request.new_pages <= old_pages) {
        after.erase(first + request.new_pages, old_pages - request.new_pages);
        prefixes.push_back(after);
        if (!request.fixed) return Status::kOk;
        old_pages = request.new_pages;
      }
      if (!after.has(first) || after.region_end(first) < first + old_pages) return Status::kBadAddress;
      const u64 more = request.new_pages - old_pages;
      if (counted(after.pages.at(first)) && more > kTotalPages) return Status::kNoMemory;
      if (!request.fixed) {
        if (after.region_end(first) == first + old_pages && !after.any(first + old_pages, more)) {
          ModelPage next = after.pages.at(first);
          if (next.object != ObjectId::kNone) next.object_page += old_pages;
          add(after, first + old_pages, more, next);
          return Status::kOk;
        }
        if (!request.may_move) return Status::kNoMemory;
      }
      moved = true;
      return Status::kOk;
    };
    const Status expected = expect();
    const Status status_got = status(got);
    if (!judge("remap", entry, status_got, expected, injected, prefixes)) {
      // Refused after the target, or the tail, was unmapped.
      if (!injected && status_got == expected && !prefixes.empty()) model = after;
      return;
    }
    if (!moved) {
      EXPECT_EQ(*got, old.begin);
      model = after;
      return;
    }
    const u64 at = got->page();
    if (request.fixed) {
      EXPECT_EQ(at, to);
    } else {
      expect_good_place(after, at, request.new_pages);
    }
    const ModelPage page = after.pages.at(first);
    after.erase(first, old_pages);
    add(after, at, request.new_pages, page);
    model = after;
  }

  void advise(Entry& entry) {
    const VaRange r = range(entry.model);
    const u64 advised = fake_.advised().size();
    const auto got = entry.space->advise(r, Advice{static_cast<u32>(below(3))});
    const bool injected = failure_happened();
    Status expected = Status::kInvalid;
    if (valid(r)) {
      expected = Status::kOk;
      for (u64 page = r.begin.page(); page < r.end.page(); ++page) {
        if (!entry.model.has(page)) expected = Status::kNoRegion;
      }
      if (!injected) {
        EXPECT_EQ(fake_.advised().size() - advised, entry.model.any(r.begin.page(), r.pages()) ? 1u : 0u);
      }
    }
    judge("advise", entry, status(got), expected, injected);
  }

  void brk(Entry& entry) {
    const Gva wanted = address(kHeap) + below(pages_to_bytes(kHeapPages)) - (chance(5) ? kPageBytes : 0);
    const Gva before = entry.model.brk;
    const Gva got = entry.space->set_brk(wanted);
    const bool injected = failure_happened();
    const u64 old_end = bytes_to_pages(before.value());
    const u64 new_end = bytes_to_pages(wanted.value());
    Model after = entry.model;
    bool granted = wanted >= address(kHeap);
    if (granted && new_end < old_end) after.erase(new_end, old_end - new_end);
    if (granted && old_end < new_end) {
      const auto above = entry.model.pages.lower_bound(old_end);
      const bool below_stack = above != entry.model.pages.end() && (above->second.flags & kVmaGrowsDown) != 0;
      granted = !entry.model.any(old_end, new_end + (below_stack ? kStackGuardPages : 1) - old_end);
      if (granted)
        add(after, old_end, new_end - old_end, {kPermRW, Sharing::kPrivate, ObjectId::kNone, 0, 0});
    }
    if (injected && got == before) granted = false;
    EXPECT_EQ(got, granted ? wanted : before);
    histogram_.add("brk", granted ? Status::kOk : Status::kNoMemory);
    if (!granted) return;
    after.brk = wanted;
    entry.model = after;
  }

  void stack(Entry& entry) {
    Model& model = entry.model;
    fake_.fail_at(0);
    if (chance(20) || !model.has(kStack - 1)) {
      // A fresh stack of one page, and something at a distance below it.
      EXPECT_TRUE(entry.space->unmap(pages(kStack - 4096, 4096)));
      model.erase(kStack - 4096, 4096);
      const u32 flags = kVmaGrowsDown;
      EXPECT_TRUE(entry.space->map({.hint = address(kStack - 1),
                                    .bytes = kPageBytes,
                                    .perm = kPermRW,
                                    .placement = Placement::kFixed,
                                    .flags = flags}));
      add(model, kStack - 1, 1, {kPermRW, Sharing::kPrivate, ObjectId::kNone, 0, flags});
      const u64 obstacle = kStack - 2 - below(600);
      const Perm p = chance(80) ? kPermR : kPermNone;
      EXPECT_TRUE(entry.space->map(
          {.hint = address(obstacle), .bytes = kPageBytes, .perm = p, .placement = Placement::kFixed}));
      add(model, obstacle, 1, {p, Sharing::kPrivate, ObjectId::kNone, 0, 0});
    }
    const u64 va = kStack - 1 - below(chance(10) ? 3000 : 400);
    asked_ = chance(10);
    fake_.fail_at(asked_ ? 1 : 0);
    const bool grown = entry.space->grow_stack(address(va) + below(kPageBytes));
    const bool injected = failure_happened();
    // The rule: the first region above is a stack, its size stays within the limit, and what lies below keeps
    // its distance unless nobody can touch it.
    const auto above = model.pages.lower_bound(va);
    bool allowed =
        above != model.pages.end() && above->first > va && (above->second.flags & kVmaGrowsDown) != 0;
    u64 lowest = 0;
    u64 stack_end = 0;
    if (allowed) {
      stack_end = model.region_end(above->first);
      allowed = stack_end - va <= kStackLimitBytes >> kPageShift;
      if (above != model.pages.begin()) {
        const auto under = std::prev(above);
        const bool harmless = under->second.perm.none() || (under->second.flags & kVmaGrowsDown) != 0;
        lowest = under->first + 1 + (harmless ? 0 : kStackGuardPages);
        allowed = allowed && va >= lowest;
      }
    }
    histogram_.add("stack", grown ? Status::kOk : Status::kNoRegion);
    EXPECT_EQ(grown, allowed && !(injected && !grown));
    if (!grown || !allowed) return;
    // It may have met another part of the stack below and merged with it.
    const u64 begin = std::max(lowest, entry.space->find(address(va))->range.begin.page());
    EXPECT_LE(begin, va);
    EXPECT_FALSE(model.any(begin, above->first - begin));
    EXPECT_LE(pages_to_bytes(stack_end - begin), kStackLimitBytes);
    const u64 end = above->first;
    add(model, begin, end - begin, ModelPage(above->second));
  }

  void find(Entry& entry) {
    fake_.fail_at(0);
    const Gva va = address(kArena) + below(pages_to_bytes(kArenaPages));
    const auto got = entry.space->find(va);
    const auto expected = entry.model.pages.find(va.page());
    histogram_.add("find", got ? Status::kOk : Status::kNoRegion);
    ASSERT_EQ(got.has_value(), expected != entry.model.pages.end());
    if (!got) return;
    EXPECT_EQ(got->perm, expected->second.perm);
    EXPECT_EQ(got->flags, expected->second.flags);
  }

  void life() {
    if (spaces_.size() == 3 || (spaces_.size() > 1 && chance(30))) {
      fake_.fail_at(0);
      spaces_.erase(spaces_.begin() + static_cast<long>(below(spaces_.size())));
      histogram_.add("destroy", Status::kOk);
      return;
    }
    const u64 parent = below(spaces_.size());
    asked_ = chance(50);
    fake_.fail_at(asked_ ? 1 : 0);
    auto child = spaces_[parent].space->clone();
    failure_happened();
    histogram_.add("clone", status(child));
    EXPECT_EQ(child.has_value(), !asked_);
    if (child) {
      Model copy = spaces_[parent].model;
      spaces_.push_back({std::move(*child), std::move(copy)});
      EXPECT_EQ(spaces_.back().space->brk(), spaces_.back().model.brk);
    }
  }

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

TEST(AddressSpaceModel, RandomOperationsAgree) {
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
  for (Status s : {kOk, kInvalid, kOverlap, kPermission, kNoMemory})
    histogram.expect_at_least("map", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("unmap", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion, kPermission, kNoMemory}) {
    histogram.expect_at_least("protect", s, kLeast);
  }
  for (Status s : {kOk, kInvalid, kBadAddress, kNoMemory}) histogram.expect_at_least("remap", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion, kNoMemory}) histogram.expect_at_least("advise", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("brk", s, kLeast);
  for (Status s : {kOk, kNoRegion}) histogram.expect_at_least("stack", s, kLeast);
  for (Status s : {kOk, kNoRegion}) histogram.expect_at_least("find", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("clone", s, kLeast);
  histogram.expect_at_least("destroy", kOk, kLeast);
}

}  // namespace
}  // namespace nopte::guest
