#include "tests/unit/guest-mm/address_space_random_run.h"

namespace nopte::guest {

void RandomRun::map(Entry& entry) {
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
  ModelPage page = entry.model.anonymous(request.perm, request.flags);
  if (request.sharing == Sharing::kShared) page.sharing = Sharing::kShared, page.flags = request.flags;
  if (file)
    page = {request.perm,  request.sharing,    request.object->id(), request.offset_bytes >> kPageShift,
            request.flags, entry.model.unasked};
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

void RandomRun::unmap(Entry& entry) {
  const VaRange r = range(entry.model);
  const auto got = entry.space->unmap(r);
  const bool injected = failure_happened();
  if (judge("unmap", entry, status(got), valid(r) ? Status::kOk : Status::kInvalid, injected)) {
    entry.model.erase(r.begin.page(), r.pages());
  }
}

void RandomRun::protect(Entry& entry) {
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

void RandomRun::mark(Entry& entry) {
  constexpr std::array<u32, 5> kMarks{kVmaDontFork, kVmaWipeOnFork, kVmaDontDump, kVmaLocked, kVmaLockFlags};
  const u32 bits = chance(60) ? kMarks[below(kMarks.size())] : 0;
  const VaRange r = range(entry.model);
  const bool locks = chance(40);
  const u32 mask = locks ? u32{kVmaLockFlags} : kVmaDontFork | kVmaDontDump;
  // Regions of objects are never wiped.
  const auto got = locks ? entry.space->lock(r, bits & mask) : entry.space->mark(r, mask, bits & mask);
  const bool injected = failure_happened();
  Model after = entry.model;
  Status expected = valid(r) ? Status::kOk : Status::kInvalid;
  for (u64 page = r.begin.page(); valid(r) && page < r.end.page(); ++page) {
    if (after.has(page)) {
      u32& flags = after.pages.at(page).flags;
      flags = (flags & ~mask) | (bits & mask);
    } else {
      expected = Status::kNoRegion;
      if (locks) break;
    }
  }
  const bool done = judge(locks ? "lock" : "mark", entry, status(got), expected, injected) ||
                    (!got && got.error() == Status::kNoRegion);
  if (done) entry.model = after;
  u64 locked = 0;
  for (const auto& [number, page] : entry.model.pages) locked += (page.flags & kVmaLocked) != 0 ? 1 : 0;
  EXPECT_EQ(entry.space->locked_pages(), locked);
}

void RandomRun::advise(Entry& entry) {
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

void RandomRun::use(Entry& entry) {
  Model after = entry.model;
  if (chance(10)) {
    const bool barred = chance(50);
    entry.space->bar_large_leaves(barred);
    failure_happened();
    const UsageChange change = usage_change(barred ? Advice::kLargeBarred : Advice::kLargeAllowed);
    for (auto& [number, page] : entry.model.pages) page.usage = change.of(page.usage);
    entry.model.unasked = change.of(entry.model.unasked);
    EXPECT_EQ(entry.space->large_leaves_barred(), barred);
    return;
  }
  constexpr std::array<Advice, 5> kAdvice{Advice::kNormal, Advice::kRandom, Advice::kSequential,
                                          Advice::kLargeWanted, Advice::kLargeNever};
  const Advice advice = kAdvice[below(kAdvice.size())];
  const VaRange r = range(entry.model);
  const auto got = entry.space->use(r, advice);
  const bool injected = failure_happened();
  Status expected = Status::kInvalid;
  if (valid(r)) {
    expected = Status::kOk;
    for (u64 page = r.begin.page(); page < r.end.page(); ++page) {
      if (after.has(page)) {
        Usage& usage = after.pages.at(page).usage;
        usage = usage_change(advice).of(usage);
      } else {
        expected = Status::kNoRegion;
      }
    }
  }
  if (judge("use", entry, status(got), expected, injected) || status(got) == Status::kNoRegion) {
    entry.model = after;
  }
}

void RandomRun::brk(Entry& entry) {
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
    if (granted) add(after, old_end, new_end - old_end, after.anonymous(kPermRW, 0));
  }
  if (injected && got == before) granted = false;
  EXPECT_EQ(got, granted ? wanted : before);
  histogram_.add("brk", granted ? Status::kOk : Status::kNoMemory);
  if (!granted) return;
  after.brk = wanted;
  entry.model = after;
}

void RandomRun::stack(Entry& entry) {
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
    add(model, kStack - 1, 1, model.anonymous(kPermRW, flags));
    const u64 obstacle = kStack - 2 - below(600);
    const Perm p = chance(80) ? kPermR : kPermNone;
    EXPECT_TRUE(entry.space->map(
        {.hint = address(obstacle), .bytes = kPageBytes, .perm = p, .placement = Placement::kFixed}));
    add(model, obstacle, 1, model.anonymous(p, 0));
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
    allowed = stack_end - va <= SpaceLimits().stack_bytes >> kPageShift;
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
  EXPECT_LE(pages_to_bytes(stack_end - begin), SpaceLimits().stack_bytes);
  const u64 end = above->first;
  add(model, begin, end - begin, ModelPage(above->second));
}

void RandomRun::find(Entry& entry) {
  fake_.fail_at(0);
  const Gva va = address(kArena) + below(pages_to_bytes(kArenaPages));
  const auto got = entry.space->find(va);
  const auto expected = entry.model.pages.find(va.page());
  histogram_.add("find", got ? Status::kOk : Status::kNoRegion);
  ASSERT_EQ(got.has_value(), expected != entry.model.pages.end());
  if (!got) return;
  EXPECT_EQ(got->perm, expected->second.perm);
  EXPECT_EQ(got->flags, expected->second.flags);
  EXPECT_EQ(got->usage, expected->second.usage);
}

// Neighbours that merged can be larger than what one call asks for; a copy is asked for region by region.
bool RandomRun::has_region_beyond_memory(const Entry& entry) {
  const AddressSpace& space = *entry.space;
  for (auto vma = space.at_or_after(kUserRange.begin); vma; vma = space.at_or_after(vma->range.end)) {
    const ModelPage& page = entry.model.pages.at(vma->range.begin.page());
    if (vma->range.pages() > kTotalPages && counted(page) && (page.flags & kVmaDontFork) == 0) return true;
  }
  return false;
}

void RandomRun::life() {
  if (spaces_.size() == 3 || (spaces_.size() > 1 && chance(30))) {
    fake_.fail_at(0);
    spaces_.erase(spaces_.begin() + static_cast<long>(below(spaces_.size())));
    histogram_.add("destroy", Status::kOk);
    return;
  }
  const u64 parent = below(spaces_.size());
  asked_ = chance(50);
  fake_.fail_at(!asked_ ? 0 : chance(80) ? 1 : 2 + below(2));
  const bool too_large = has_region_beyond_memory(spaces_[parent]);
  auto child = spaces_[parent].space->clone();
  const bool injected = failure_happened();
  histogram_.add("clone", status(child));
  EXPECT_EQ(child.has_value(), !injected && !too_large);
  if (child) {
    Model copy = spaces_[parent].model;
    std::erase_if(copy.pages, [](const auto& page) { return (page.second.flags & kVmaDontFork) != 0; });
    for (auto& [number, page] : copy.pages) page.flags &= ~kVmaLockFlags;
    copy.forks = (copy.forks + kVmaFork) & kVmaForkMask;
    spaces_.push_back({std::move(*child), std::move(copy)});
    EXPECT_EQ(spaces_.back().space->brk(), spaces_.back().model.brk);
  }
}

}  // namespace nopte::guest
