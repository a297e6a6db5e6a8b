// mremap in the random test, step by step as the model does it.
#include "tests/unit/guest-mm/address_space_random_run.h"

namespace nopte::guest {

namespace {

// What an mremap comes to: every state that a failure may leave, and the last.
struct Remapped {
  Model after;
  std::vector<Model> prefixes{};
  Status status = Status::kOk;
  bool placed = false;  // somewhere: put `what` there
  std::vector<ModelPage> what{};
  Gva at{};  // unless it was placed

  void erase(u64 first, u64 count) {
    after.erase(first, count);
    prefixes.push_back(after);
  }
  [[nodiscard]] std::vector<ModelPage> contents(u64 first, u64 count) const {
    std::vector<ModelPage> pages;
    for (u64 page = first; page < first + count; ++page) pages.push_back(after.pages.at(page));
    return pages;
  }
  void put(u64 first) {
    for (u64 i = 0; i < what.size(); ++i) after.pages[first + i] = what[i];
  }
};

void grow(std::vector<ModelPage>& pages, u64 wanted) {
  while (pages.size() < wanted) {
    ModelPage next = pages.back();
    if (next.object != ObjectId::kNone) ++next.object_page;
    pages.push_back(next);
  }
}

void move_each(Remapped& out, u64 first, u64 count, u64 to) {
  for (u64 page = first; page < first + count;) {
    if (!out.after.has(page)) {
      ++page;
      continue;
    }
    const u64 end = std::min(out.after.region_end(page), first + count);
    out.what = out.after.has(page) ? out.contents(page, end - page) : std::vector<ModelPage>{};
    out.erase(to + page - first, end - page);
    out.after.erase(page, end - page);
    out.put(to + page - first);
    out.prefixes.push_back(out.after);
    page = end;
  }
  out.at = address(to);
}

Remapped remapped(const Model& model, const RemapRequest& request, bool counts) {
  Remapped out{.after = model};
  const auto refused = [&out](Status status) {
    out.status = status;
    return out;
  };
  const VaRange old = request.old;
  if (!old.begin.page_aligned() || !old.end.page_aligned() || old.end < old.begin || request.new_pages == 0 ||
      request.new_pages > kUserRange.pages()) {
    return refused(Status::kInvalid);
  }
  const u64 first = old.begin.page();
  const u64 to = request.new_address.page();
  u64 old_pages = old.pages();
  if (request.keeps_source && request.new_pages != old_pages) return refused(Status::kInvalid);
  if (request.fixed || (request.keeps_source && request.new_address != Gva{})) {
    const VaRange target = pages(to, request.new_pages);
    if (!request.new_address.page_aligned() || target.overlaps(old)) return refused(Status::kInvalid);
  }
  if (!model.has(first)) return refused(Status::kBadAddress);
  if (request.fixed && !request.keeps_source && request.new_pages == old_pages) {
    move_each(out, first, old_pages, to);
    return out;
  }
  if (request.fixed) out.erase(to, request.new_pages);
  if (old_pages != 0 && request.new_pages <= old_pages && !request.keeps_source) {
    out.erase(first + request.new_pages, old_pages - request.new_pages);
    out.at = old.begin;
    if (!request.fixed) return out;
    old_pages = request.new_pages;
  }
  if (!out.after.has(first) || out.after.region_end(first) < first + old_pages) {
    return refused(Status::kBadAddress);
  }
  const ModelPage begin = out.after.pages.at(first);
  if (old_pages == 0) {
    if (begin.sharing != Sharing::kShared) return refused(Status::kInvalid);
    if (!request.may_move) return refused(Status::kNoMemory);
    out.what = {begin};
  } else {
    const u64 more = request.new_pages - old_pages;
    if (counts && more > kTotalPages) return refused(Status::kNoMemory);
    out.what = out.contents(first, old_pages);
    if (!request.fixed && !request.keeps_source) {
      if (out.after.region_end(first) == first + old_pages && !out.after.any(first + old_pages, more)) {
        grow(out.what, request.new_pages);
        out.put(first);
        out.at = old.begin;
        return out;
      }
      if (!request.may_move) return refused(Status::kNoMemory);
    }
    out.after.erase(first, old_pages);
    // A move that failed to keep its source: the pages are at the target.
    if (request.keeps_source && request.fixed) {
      Model moved = out.after;
      for (u64 i = 0; i < old_pages; ++i) moved.pages[to + i] = out.what[i];
      out.prefixes.push_back(moved);
    }
  }
  grow(out.what, request.new_pages);
  out.placed = true;
  return out;
}

}  // namespace

void RandomRun::remap(Entry& entry) {
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
    if (chance(40)) request.new_pages = request.old.pages();
  }
  if (request.may_move && chance(15)) {
    request.keeps_source = true;
    if (chance(95)) request.new_pages = request.old.pages();
  }
  if (request.may_move && chance(5)) request.old.end = request.old.begin;
  if (chance(1)) request.new_pages = kUserRange.pages() + 1;
  const bool counts =
      model.has(request.old.begin.page()) && counted(model.pages.at(request.old.begin.page()));
  const auto got = entry.space->remap(request);
  const bool injected = failure_happened();

  Remapped expected = remapped(model, request, counts);
  const Status status_got = status(got);
  if (!judge("remap", entry, status_got, expected.status, injected, expected.prefixes)) {
    // Refused after the target, or the tail, was unmapped.
    if (!injected && status_got == expected.status && !expected.prefixes.empty()) model = expected.after;
    return;
  }
  if (!expected.placed) {
    EXPECT_EQ(*got, expected.at);
    model = expected.after;
    return;
  }
  const u64 at = got->page();
  if (request.fixed) {
    EXPECT_EQ(at, request.new_address.page());
  } else {
    expect_good_place(model, at, request.new_pages);
  }
  for (u64 i = 0; request.keeps_source && i < expected.what.size(); ++i) {
    ModelPage& kept = expected.after.pages[request.old.begin.page() + i];
    kept = expected.what[i];
    kept.flags &= ~kVmaLockFlags;
  }
  expected.put(at);
  model = expected.after;
  histogram_.add("remap", request.keeps_source ? "kept" : request.old.empty() ? "again" : "moved");
}

}  // namespace nopte::guest
