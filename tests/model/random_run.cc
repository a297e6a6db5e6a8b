// RandomRun: choosing, accessing, comparing.
#include "tests/model/random_run.h"

namespace nopte::model {
namespace {

std::string name_of(ViolationReason reason) {
  switch (reason) {
    case ViolationReason::kNone:
      return "ok";
    case ViolationReason::kNoRegion:
      return "no region";
    case ViolationReason::kPermission:
      return "permission";
    case ViolationReason::kPastEnd:
      return "past end";
    case ViolationReason::kNoMemory:
      return "no memory";
  }
  return "?";
}

}  // namespace

void RandomRun::run(u64 operations) {
  ASSERT_TRUE(world_.start());
  reference_.spaces[SpaceId::kKernel].regions = &world_.regions(SpaceId::kKernel);
  for (u64 i = 0; i < operations; ++i) {
    // Every now and then one of the next allocations fails.
    failing_ = below(6) == 0;
    if (failing_) world_.frames().fail_allocation(1 + below(one_in(2) ? 2 : 6));
    step();
    world_.frames().fail_allocation(0);
    EXPECT_EQ(world_.machine().stale_translations(), 0u);
    if (i % 64 == 63) compare();
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "operation " << i << ", seed and history decide it";
      return;
    }
  }
  compare();
  counters = engine().counters();
  for (const auto& [begin, pages] : grants_) ASSERT_TRUE(world_.engine().kmem_free(begin, pages));
  world_.finish();
}

void RandomRun::fail_soon() {
  if (!one_in(2)) return;
  failing_ = true;
  world_.frames().fail_allocation(1 + below(2));
}

SpaceId RandomRun::any_space() {
  if (world_.user_spaces().empty()) return SpaceId::kKernel;
  auto space = world_.user_spaces().begin();
  std::advance(space, below(world_.user_spaces().size()));
  return space->first;
}

std::optional<ObjectId> RandomRun::any_object() {
  if (world_.objects().empty()) return std::nullopt;
  auto object = world_.objects().begin();
  std::advance(object, below(world_.objects().size()));
  return object->first;
}

Gva RandomRun::area_of(SpaceId id) {
  if (id == SpaceId::kKernel) return layout_.window_area;
  return layout_.areas[one_in(2) ? 1 : below(std::size(layout_.areas))];
}

VaRange RandomRun::any_range(SpaceId id) {
  const Gva area = area_of(id);
  const u64 most = area_pages(id);
  const u64 first = below(most);
  VaRange range = VaRange::of_pages(area + pages_to_bytes(first), 1 + below(most - first));
  if (most > Layout::kAreaPages) {
    // Often to where a large page begins or ends.
    const u64 bytes = layout_.leaf_table_bytes;
    if (one_in(2)) range.end = Gva((range.end.value() + bytes - 1) & ~(bytes - 1));
    if (one_in(2)) range.begin = Gva(range.begin.value() & ~(bytes - 1));
  }
  if (id != SpaceId::kKernel && one_in(8)) {
    const VaRange other = any_range(SpaceId{1});
    return {std::min(range.begin, other.begin), std::max(range.end, other.end)};
  }
  return range;
}

VaRange RandomRun::bad_range() {
  const VaRange good = any_range(SpaceId{1});
  switch (below(4)) {
    case 0:
      return {good.begin, good.begin};
    case 1:
      return {good.begin + 8, good.end};
    case 2:
      return {good.begin, layout_.user.end + kPageBytes};
    default:
      return {good.end, good.begin};
  }
}

Perm RandomRun::any_perm() {
  static constexpr Perm kPerms[] = {kPermNone, kPermR, kPermRW, kPermRW, kPermRW, kPermRX, kPermRWX};
  return kPerms[below(std::size(kPerms))];
}

std::optional<VaRange> RandomRun::part_of_region(SpaceId id) {
  const auto& list = world_.regions(id).list();
  if (list.empty()) return std::nullopt;
  auto region = list.begin();
  std::advance(region, below(list.size()));
  const VaRange whole = region->second.range;
  if (one_in(2)) return whole;
  const u64 first = below(whole.pages());
  return VaRange::of_pages(whole.begin + pages_to_bytes(first), 1 + below(whole.pages() - first));
}

void RandomRun::step() {
  const u64 dice = below(1000);
  if (dice < 330) return access();
  if (dice < 420) return map();
  if (dice < 450) return unmap();
  if (dice < 570) return protect();
  if (dice < 620) return move();
  if (dice < 690) return advise();
  if (dice < 720) return create();
  if (dice < 755) return clone();
  if (dice < 785) return destroy();
  if (dice < 820) return activate();
  if (dice < 850) return object_create();
  if (dice < 890) return object_resize();
  if (dice < 920) return object_destroy();
  if (dice < 960) return object_pointer();
  kernel_memory();
}

void RandomRun::access() {
  world_.machine().set_current(static_cast<unsigned>(below(world_.machine().cpus())));
  const bool window = one_in(6);
  const SpaceId id = window ? SpaceId::kKernel : world_.active();
  Privilege privilege = window || one_in(4) ? Privilege::kKernel : Privilege::kUser;
  const SpaceId where = window ? SpaceId::kKernel : SpaceId{1};
  Gva va = area_of(where) + pages_to_bytes(below(area_pages(where)));
  if ((window || id != SpaceId::kKernel) && !one_in(4)) {
    if (const auto promised = part_of_region(id)) va = promised->begin;
  }
  const Access kind = one_in(6) ? Access::kExec : one_in(2) ? Access::kWrite : Access::kRead;
  // The kernel never executes user pages, and the machine here has no SMEP to say so.
  if (kind == Access::kExec && !window) privilege = Privilege::kUser;
  auto expected = id == SpaceId::kKernel && !window ? std::unexpected(ViolationReason::kNoRegion)
                                                    : reference_.access(id, va, kind);
  const auto found = world_.touch(va, kind, privilege);
  if (kind == Access::kExec && found && layout_.all_executable()) {
    // Nothing refuses to execute a page that is installed.
    expected = reference_.access(id, va, Access::kRead);
  }
  static constexpr const char* kNames[] = {"read", "write", "exec"};
  ++histogram[std::string(kNames[static_cast<int>(kind)]) + ": " +
              name_of(found ? ViolationReason::kNone : found.error())];
  if (!found) {
    if (found.error() == ViolationReason::kNoMemory) {
      EXPECT_TRUE(scarce());
      EXPECT_TRUE(expected);
    } else {
      ASSERT_FALSE(expected) << name_of(found.error()) << " instead of a value";
      EXPECT_EQ(found.error(), expected.error());
    }
    return;
  }
  ASSERT_TRUE(expected) << "a value instead of " << name_of(expected.error());
  u64* words = *found;
  EXPECT_EQ(words[0], *expected) << std::hex << va.value();
  EXPECT_EQ(words[511], *expected);
  if (kind == Access::kWrite) {
    words[0] = words[511] = ++value_;
    reference_.write(id, va, value_);
  }
}

void RandomRun::compare() {
  world_.check();
  for (const auto& [id, space] : reference_.spaces) {
    u64 found = 0;
    engine().for_each_installed(id, [&](Gva va, const Installed& installed) {
      const auto region = space.regions->find(va);
      ASSERT_TRUE(region);
      const u64* words = reinterpret_cast<const u64*>(world_.memory().alias(installed.frame));
      u64 expected = 0;
      const bool anonymous =
          installed.level > 1 || world_.frames().meta(installed.frame).kind == pt::FrameKind::kAnon;
      if (anonymous) {
        const auto value = space.values.find(va.page());
        if (value != space.values.end()) {
          expected = value->second;
          ++found;
        } else {
          ASSERT_EQ(region->object, ObjectId::kNone);
        }
      } else {
        const auto& object = reference_.objects.at(region->object);
        const u64 page = Reference::object_page(*region, va);
        ASSERT_LT(page, object.pages);
        const auto value = object.values.find(page);
        if (value != object.values.end()) expected = value->second;
      }
      EXPECT_EQ(words[0], expected) << std::hex << va.value();
      EXPECT_EQ(words[511], expected);
    });
    // What was written privately is nowhere but here.
    EXPECT_EQ(found, space.values.size());
  }
}

}  // namespace nopte::model
