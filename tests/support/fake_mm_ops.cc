#include "tests/support/fake_mm_ops.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iterator>

#include "guest-mm/core/commit_limit.h"
#include "pvops/chosen_ops.h"

namespace nopte::test {

namespace {

FakeMmOps* g_fake = nullptr;

// Whether `high` goes on where `low` ends.
bool continues(const RegionSpec& low, const RegionSpec& high) {
  RegionSpec expected = low;
  expected.range = high.range;
  if (low.object != ObjectId::kNone) expected.object_page += low.range.pages();
  return low.range.end == high.range.begin && expected == high;
}

}  // namespace

// The table's functions.
struct FakeCalls {
  static FakeMmOps& fake() { return *g_fake; }

  static Result<SpaceId> space_create(const RegionSource&) {
    if (fake().growth_fails()) return Fail(Status::kNoMemory);
    const SpaceId id{fake().next_id_++};
    fake().spaces_[id];
    return id;
  }
  static Result<SpaceId> space_clone(SpaceId parent, const RegionSource&) {
    if (fake().growth_fails()) return Fail(Status::kNoMemory);
    const SpaceId id{fake().next_id_++};
    const auto regions = fake().space(parent);  // a reference would not outlive the new element
    fake().spaces_[id] = regions;
    return id;
  }
  static void space_destroy(SpaceId id) {
    ++fake().calls_;
    EXPECT_NE(id, SpaceId::kKernel);
    EXPECT_NE(id, fake().active_);
    fake().open_interrupt_window();
    EXPECT_EQ(fake().spaces_.erase(id), 1u);
  }
  static void space_activate(SpaceId id) {
    ++fake().calls_;
    fake().space(id);
    fake().active_ = id;
  }
  static void space_switch(SpaceId id, SpaceId gone) {
    space_activate(id);
    space_destroy(gone);
  }

  static Result<Populated> region_map(SpaceId id, const RegionSpec& region, u32 flags) {
    fake().check_range(id, region.range);
    if (fake().growth_fails()) return Fail(Status::kNoMemory);
    auto& space = fake().space(id);
    if (flags & kMapReplace) FakeMmOps::take_out(space, region.range);
    if (FakeMmOps::any(space, region.range)) {
      ADD_FAILURE() << "region_map over a region";
      return Fail(Status::kOverlap);
    }
    EXPECT_TRUE(region.object == ObjectId::kNone || fake().objects_.contains(region.object));
    space[region.range.begin] = region;
    return Populated::kNo;
  }
  static Result<void> region_unmap(SpaceId id, VaRange range) {
    fake().check_range(id, range);
    if (fake().fails()) return Fail(Status::kNoMemory);
    fake().open_interrupt_window();
    FakeMmOps::take_out(fake().space(id), range);
    return {};
  }
  static Result<void> region_protect(SpaceId id, VaRange range, Perm perm, RightsChange) {
    fake().check_range(id, range);
    if (fake().fails()) return Fail(Status::kNoMemory);
    auto& space = fake().space(id);
    if (!FakeMmOps::all(space, range)) {
      ADD_FAILURE() << "region_protect over a hole";
      return Fail(Status::kNoRegion);
    }
    FakeMmOps::cut(space, range.begin);
    FakeMmOps::cut(space, range.end);
    for (auto it = space.lower_bound(range.begin); it != space.end() && it->first < range.end; ++it) {
      it->second.perm = perm;
    }
    return {};
  }
  static Result<void> region_move(SpaceId id, VaRange from, Gva to) {
    const VaRange target{to, to + from.bytes()};
    fake().check_range(id, from);
    fake().check_range(id, target);
    EXPECT_FALSE(from.overlaps(target));
    if (fake().fails()) return Fail(Status::kNoMemory);
    auto& space = fake().space(id);
    if (FakeMmOps::any(space, target) || !FakeMmOps::all(space, from)) {
      ADD_FAILURE() << "region_move from a hole or onto a region";
      return Fail(Status::kInvalid);
    }
    FakeMmOps::cut(space, from.begin);
    FakeMmOps::cut(space, from.end);
    std::vector<RegionSpec> moved;
    for (auto it = space.lower_bound(from.begin); it != space.end() && it->first < from.end;) {
      moved.push_back(it->second);
      it = space.erase(it);
    }
    for (RegionSpec region : moved) {
      const u64 offset = region.range.begin - from.begin;
      region.range = {to + offset, to + (region.range.end - from.begin)};
      space[region.range.begin] = region;
    }
    return {};
  }
  static Result<void> region_advise(SpaceId id, VaRange range, Advice advice) {
    fake().check_range(id, range);
    auto& space = fake().space(id);
    if (const UsageChange change = usage_change(advice); change.mask != 0) {
      ++fake().calls_;
      if (fake().knows_no_usage_) return Fail(Status::kUnsupported);
      FakeMmOps::cut(space, range.begin);
      FakeMmOps::cut(space, range.end);
      for (auto it = space.lower_bound(range.begin); it != space.end() && it->first < range.end; ++it) {
        it->second.usage = change.of(it->second.usage);
      }
      return {};
    }
    if (fake().growth_fails()) return Fail(Status::kNoMemory);
    fake().open_interrupt_window();
    fake().advised_.push_back({id, range, advice});
    return {};
  }
  static Result<u64> region_resident(SpaceId id, VaRange range) {
    ++fake().calls_;
    fake().check_range(id, range);
    EXPECT_LE(range.pages(), kMostResident);
    return ~u64{0};
  }

  static Result<InstalledPages> region_installed(SpaceId id, VaRange range) {
    ++fake().calls_;
    fake().check_range(id, range);
    return InstalledPages{range.pages(), range.pages() / 2};
  }

  static Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings) {
    if (fake().growth_fails()) return Fail(Status::kNoMemory);
    const ObjectId id{fake().next_id_++};
    auto& object = fake().objects_[id];
    object.pages = pages;
    object.mappings = &mappings;
    return id;
  }
  static Result<void> object_resize(ObjectId id, u64 pages) {
    if (pages > fake().objects_.at(id).pages ? fake().growth_fails() : fake().fails())
      return Fail(Status::kNoMemory);
    fake().open_interrupt_window();
    auto& object = fake().objects_.at(id);
    object.pages = pages;
    object.bytes.erase(object.bytes.lower_bound(pages), object.bytes.end());
    return {};
  }
  static Result<void> object_destroy(ObjectId id) {
    ++fake().calls_;
    for (const auto& [space_id, space] : fake().spaces_) {
      for (const auto& [begin, region] : space) {
        if (region.object == id) {
          ADD_FAILURE() << "object_destroy while a region shows it";
          return Fail(Status::kBusy);
        }
      }
    }
    fake().open_interrupt_window();
    EXPECT_EQ(fake().objects_.erase(id), 1u);
    return {};
  }

  static Result<Gva> kmem_alloc(u64 pages) {
    if (fake().kmem_forbidden_ || fake().fails()) return Fail(Status::kNoMemory);
    const u64 bytes = pages_to_bytes((pages + 15) & ~u64{15});
    void* memory = std::aligned_alloc(64 << 10, bytes);
    std::memset(memory, 0, bytes);
    fake().kmem_[reinterpret_cast<u64>(memory)] = pages;
    return Gva{reinterpret_cast<u64>(memory)};
  }
  static void kmem_free(Gva base, u64 pages) {
    ++fake().calls_;
    const auto grant = fake().kmem_.find(base.value());
    if (grant == fake().kmem_.end()) {
      // Granted by an earlier fake: the kernel heap outlives the tests.
      return;
    }
    EXPECT_EQ(grant->second, pages);
    std::free(reinterpret_cast<void*>(base.value()));
    fake().kmem_.erase(grant);
  }
  static MemoryInfo memory_info() {
    ++fake().calls_;
    return {fake().total_pages_, fake().total_pages_ / 2};
  }
};

FakeMmOps::FakeMmOps(u64 total_pages)
    : ops_{.name = "fake",
           .space_create = FakeCalls::space_create,
           .space_clone = FakeCalls::space_clone,
           .space_destroy = FakeCalls::space_destroy,
           .space_activate = FakeCalls::space_activate,
           .space_switch = FakeCalls::space_switch,
           .region_map = FakeCalls::region_map,
           .region_unmap = FakeCalls::region_unmap,
           .region_protect = FakeCalls::region_protect,
           .region_move = FakeCalls::region_move,
           .region_advise = FakeCalls::region_advise,
           .region_resident = FakeCalls::region_resident,
           .region_installed = FakeCalls::region_installed,
           .object_create = FakeCalls::object_create,
           .object_resize = FakeCalls::object_resize,
           .object_destroy = FakeCalls::object_destroy,
           .kmem_alloc = FakeCalls::kmem_alloc,
           .kmem_free = FakeCalls::kmem_free,
           .memory_info = FakeCalls::memory_info},
      previous_(g_mm_ops),
      total_pages_(total_pages) {
  EXPECT_EQ(g_fake, nullptr);
  g_fake = this;
  g_mm_ops = &ops_;
  guest::set_commit_limit(total_pages, nullptr);
}

FakeMmOps::~FakeMmOps() {
  g_fake = nullptr;
  g_mm_ops = previous_;
}

void FakeMmOps::open_interrupt_window() {
  const u64 before = calls_;
  interrupt_window();
  EXPECT_EQ(calls_, before);
}

bool FakeMmOps::growth_fails() { return fails() || growth_forbidden_; }

bool FakeMmOps::fails() {
  ++calls_;
  return fail_at_ != 0 && --fail_at_ == 0;
}

FakeMmOps::Space& FakeMmOps::space(SpaceId id) {
  const auto found = spaces_.find(id);
  if (found == spaces_.end()) {
    ADD_FAILURE() << "no such space: " << static_cast<u32>(id);
    return spaces_[SpaceId::kKernel];
  }
  return found->second;
}

void FakeMmOps::take_out(Space& space, VaRange range) {
  cut(space, range.begin);
  cut(space, range.end);
  space.erase(space.lower_bound(range.begin), space.lower_bound(range.end));
}

void FakeMmOps::cut(Space& space, Gva at) {
  auto it = space.lower_bound(at);
  if (it == space.begin()) return;
  RegionSpec& low = (--it)->second;
  if (low.range.end <= at) return;
  RegionSpec high = low;
  high.range.begin = at;
  if (low.object != ObjectId::kNone) high.object_page += (at - low.range.begin) >> kPageShift;
  low.range.end = at;
  space[at] = high;
}

bool FakeMmOps::any(const Space& space, VaRange range) {
  auto above = space.lower_bound(range.end);
  return above != space.begin() && range.begin < std::prev(above)->second.range.end;
}

bool FakeMmOps::all(const Space& space, VaRange range) {
  u64 pages = 0;
  for (const auto& [begin, region] : space) {
    if (region.range.overlaps(range)) pages += region.range.intersect(range).pages();
  }
  return pages == range.pages();
}

void FakeMmOps::check_range(SpaceId id, VaRange range) const {
  EXPECT_TRUE(range.page_aligned());
  EXPECT_FALSE(range.empty());
  EXPECT_TRUE((id == SpaceId::kKernel ? kWindowRange : kUserRange).contains(range));
}

std::vector<RegionSpec> FakeMmOps::regions(SpaceId id) const {
  std::vector<RegionSpec> list;
  for (const auto& [begin, region] : spaces_.at(id)) {
    if (!list.empty() && continues(list.back(), region)) {
      list.back().range.end = region.range.end;
    } else {
      list.push_back(region);
    }
  }
  return list;
}

Result<char*> FakeMmOps::window_byte(Gva va) {
  for (const auto& [begin, region] : spaces_.at(SpaceId::kKernel)) {
    if (!region.range.contains(va)) continue;
    const u64 page = region.object_page + ((va - region.range.begin) >> kPageShift);
    Object& object = objects_.at(region.object);
    if (page >= object.pages) return Fail(Status::kPastEnd);
    auto& bytes = object.bytes[page];
    if (bytes == nullptr) bytes = std::make_unique<std::array<char, kPageBytes>>();
    return bytes->data() + va.page_offset();
  }
  return Fail(Status::kBadAddress);
}

}  // namespace nopte::test
