// Random operations against the reference, over every kind of sink: contents and violations after every
// access, the whole of what is installed every 64 operations, nothing left at the end. The histogram of what
// happened is printed, and asserted: every operation and every error that engine.h documents occurs often.
#include <cinttypes>
#include <random>
#include <string>

#include "tests/model/reference.h"
#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr u64 kMostSpaces = 6;
constexpr u64 kMostObjects = 3;
constexpr u64 kMostGrants = 5;
constexpr u64 kMostObjectPages = 300;

using Histogram = absl::btree_map<std::string, u64>;

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

class RandomRun {
  static constexpr u64 kAreaPages = Layout::kAreaPages;

 public:
  RandomRun(const KindRow& kind, u64 seed, u64 frames) : world_(kind, frames, 2), random_(seed) {}

  void run(u64 operations) {
    ASSERT_TRUE(world_.start());
    reference_.spaces[SpaceId::kKernel].regions = &world_.regions(SpaceId::kKernel);
    for (u64 i = 0; i < operations; ++i) {
      SCOPED_TRACE(testing::Message() << "operation " << i << ", seed and history decide it");
      // Every now and then one of the next allocations fails.
      failing_ = below(6) == 0;
      if (failing_) world_.frames().fail_allocation(1 + below(one_in(2) ? 2 : 6));
      step();
      world_.frames().fail_allocation(0);
      EXPECT_EQ(world_.machine().stale_translations(), 0u);
      if (i % 64 == 63) compare();
      if (testing::Test::HasFailure()) return;
    }
    compare();
    for (const auto& [begin, pages] : grants_) ASSERT_TRUE(world_.engine().kmem_free(begin, pages));
    world_.finish();
  }

  Histogram histogram;

 private:
  u64 below(u64 bound) { return random_() % bound; }
  bool one_in(u64 n) { return below(n) == 0; }
  AnyEngine& engine() { return world_.engine(); }

  template <class T>
  const T* note(const char* operation, const Result<T>& result) {
    ++histogram[std::string(operation) + ": " + (result ? "ok" : status_name(result.error()))];
    return result ? &*result : nullptr;
  }
  bool note(const char* operation, const Result<void>& result) {
    ++histogram[std::string(operation) + ": " + (result ? "ok" : status_name(result.error()))];
    return result.has_value();
  }
  // No memory is an answer when little is left, or when an allocation was made to fail.
  [[nodiscard]] bool scarce() { return failing_ || world_.frames().free_frames() < 24; }

  // For operations that allocate seldom.
  void fail_soon() {
    if (!one_in(2)) return;
    failing_ = true;
    world_.frames().fail_allocation(1 + below(2));
  }

  // --- choosing ---
  SpaceId any_space() {
    if (world_.user_spaces().empty()) return SpaceId::kKernel;
    auto space = world_.user_spaces().begin();
    std::advance(space, below(world_.user_spaces().size()));
    return space->first;
  }
  std::optional<ObjectId> any_object() {
    if (world_.objects().empty()) return std::nullopt;
    auto object = world_.objects().begin();
    std::advance(object, below(world_.objects().size()));
    return object->first;
  }
  SpaceId unknown_space() { return SpaceId{one_in(2) ? 64u : 20'000u + static_cast<u32>(below(1u << 31))}; }
  ObjectId unknown_object() { return ObjectId{one_in(2) ? 0u : 20'000u + static_cast<u32>(below(1u << 31))}; }
  Gva area_of(SpaceId id) {
    if (id == SpaceId::kKernel) return layout_.window_area;
    return layout_.areas[one_in(2) ? 1 : below(std::size(layout_.areas))];
  }
  // Some pages of an area; now and then all from one area to the end of another.
  VaRange any_range(SpaceId id) {
    const Gva area = area_of(id);
    const u64 first = below(kAreaPages);
    const VaRange range = VaRange::of_pages(area + pages_to_bytes(first), 1 + below(kAreaPages - first));
    if (id != SpaceId::kKernel && one_in(8)) {
      const VaRange other = any_range(SpaceId{1});
      return {std::min(range.begin, other.begin), std::max(range.end, other.end)};
    }
    return range;
  }
  VaRange bad_range() {
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
  Perm any_perm() {
    static constexpr Perm kPerms[] = {kPermNone, kPermR, kPermRW, kPermRW, kPermRW, kPermRX, kPermRWX};
    return kPerms[below(std::size(kPerms))];
  }
  // A region of the space, or part of one.
  std::optional<VaRange> part_of_region(SpaceId id) {
    const auto& list = world_.regions(id).list();
    if (list.empty()) return std::nullopt;
    auto region = list.begin();
    std::advance(region, below(list.size()));
    const VaRange whole = region->second.range;
    if (one_in(2)) return whole;
    const u64 first = below(whole.pages());
    return VaRange::of_pages(whole.begin + pages_to_bytes(first), 1 + below(whole.pages() - first));
  }
  // Issues an operation until it is done, stopping now and then.
  template <class Issue>
  bool until_done(const char* operation, Issue issue) {
    const auto stop = [this] { return !one_in(8); };
    pt::Checkpoint checkpoint(stop);
    for (int tries = 0; tries < 1000; ++tries) {
      const Result<void> result = issue(one_in(4) ? nullptr : &checkpoint);
      note(operation, result);
      if (result || result.error() != Status::kAgain) return result.has_value();
    }
    ADD_FAILURE() << operation << " makes no progress";
    return false;
  }

  // --- operations ---
  void step() {
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
    if (dice < 960) return object_window();
    kernel_memory();
  }

  void access() {
    world_.machine().set_current(static_cast<unsigned>(below(world_.machine().cpus())));
    const bool window = one_in(6);
    const SpaceId id = window ? SpaceId::kKernel : world_.active();
    Privilege privilege = window || one_in(4) ? Privilege::kKernel : Privilege::kUser;
    Gva va = area_of(window ? SpaceId::kKernel : SpaceId{1}) + pages_to_bytes(below(kAreaPages));
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

  void map() {
    const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
    RegionSpec region{.range = any_range(id), .perm = any_perm()};
    if (region.range.pages() > kAreaPages) return;
    if (id == SpaceId::kKernel || one_in(2)) {
      const auto object = any_object();
      if (!object) return;
      region.object = *object;
      region.object_page = below(80);
      region.sharing = id == SpaceId::kKernel || one_in(2) ? Sharing::kShared : Sharing::kPrivate;
      if (id == SpaceId::kKernel) region.perm = kPermRW;
    }
    if (!world_.regions(id).free(region.range)) return;
    world_.regions(id).map(region);
    ++histogram["map: ok"];
  }

  void unmap() {
    if (one_in(10)) {
      note("unmap", engine().region_unmapped(one_in(2) ? unknown_space() : any_space(), bad_range()));
      return;
    }
    const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
    const VaRange range = any_range(id);
    VaRange left = range;
    ASSERT_TRUE(until_done("unmap", [&](pt::Checkpoint* checkpoint) {
      const auto result = engine().region_unmapped(id, left, checkpoint);
      if (!result && result.error() == Status::kAgain) left.begin = checkpoint->next();
      return result;
    }));
    world_.regions(id).unmap(range);
    reference_.drop(id, range);
  }

  void protect() {
    if (one_in(10)) {
      note("protect",
           engine().region_protected(one_in(2) ? unknown_space() : any_space(), bad_range(), kPermR));
      return;
    }
    const SpaceId id = any_space();
    const auto range = part_of_region(id);
    if (!range || id == SpaceId::kKernel) return;
    const Perm perm = any_perm();
    VaRange left = *range;
    ASSERT_TRUE(until_done("protect", [&](pt::Checkpoint* checkpoint) {
      const auto result = engine().region_protected(id, left, perm, checkpoint);
      if (!result && result.error() == Status::kAgain) left.begin = checkpoint->next();
      return result;
    }));
    world_.regions(id).protect(*range, perm);
  }

  void move() {
    const SpaceId id = any_space();
    if (one_in(10)) {
      note("move", engine().region_moved(one_in(2) ? unknown_space() : id, bad_range(), layout_.areas[0]));
      return;
    }
    const auto from = part_of_region(id);
    if (!from || id == SpaceId::kKernel) return;
    const Gva to = area_of(id) + pages_to_bytes(below(kAreaPages));
    const VaRange target = VaRange::of_pages(to, from->pages());
    if (target.overlaps(*from)) {
      EXPECT_FALSE(note("move", engine().region_moved(id, *from, to)));
      return;
    }
    if (!world_.regions(id).free(target)) return;
    fail_soon();
    const Result<void> moved = world_.move(id, *from, to);
    if (note("move", moved)) {
      reference_.move(id, *from, to);
    } else {
      EXPECT_EQ(moved.error(), Status::kNoMemory);
      EXPECT_TRUE(scarce());
    }
  }

  void advise() {
    static constexpr const char* kNames[] = {"dont-need", "will-need", "populate"};
    const u32 which = static_cast<u32>(below(3));
    const Advice advice{which};
    if (one_in(10)) {
      note(kNames[which], world_.advise(one_in(2) ? unknown_space() : any_space(), bad_range(), advice));
      return;
    }
    const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
    VaRange range = any_range(id);
    if (advice == Advice::kWillNeed && id != SpaceId::kKernel && !one_in(3)) {
      range = {layout_.areas[0], layout_.areas[3] + pages_to_bytes(kAreaPages)};
    }
    const VaRange all = range;
    Status last = Status::kOk;
    const bool done = until_done(kNames[which], [&](pt::Checkpoint* checkpoint) {
      const auto result = world_.advise(id, range, advice, checkpoint);
      if (!result) last = result.error();
      if (!result && result.error() == Status::kAgain) range.begin = checkpoint->next();
      return result;
    });
    if (advice == Advice::kPopulate && id != SpaceId::kKernel) note_copies(id, all);
    if (!done) {
      EXPECT_EQ(last, Status::kNoMemory);
      EXPECT_EQ(advice, Advice::kPopulate);
      EXPECT_TRUE(scarce());
    } else if (advice == Advice::kDontNeed) {
      reference_.drop(id, all);
    }
  }

  // Populating for writing copies pages of private objects: from then on they keep the value of that moment.
  void note_copies(SpaceId id, VaRange range) {
    for (const auto& [begin, region] : world_.regions(id).list()) {
      if (region.object == ObjectId::kNone || region.sharing == Sharing::kShared || !region.perm.write())
        continue;
      const VaRange part = region.range.intersect(range);
      for (Gva va = part.begin; va < part.end; va += kPageBytes) {
        const auto installed = engine().peek(id, va);
        if (!installed || world_.frames().meta(installed->frame).kind != pt::FrameKind::kAnon) continue;
        auto& values = reference_.spaces.at(id).values;
        if (!values.contains(va.page())) values[va.page()] = *reference_.access(id, va, Access::kRead);
      }
    }
  }

  void create() {
    if (world_.user_spaces().size() >= kMostSpaces) return;
    if (one_in(4)) fail_soon();
    const auto id = world_.create();
    if (note("create", id)) {
      reference_.spaces[*id].regions = &world_.regions(*id);
    } else {
      EXPECT_TRUE(scarce());
    }
  }

  void clone() {
    if (one_in(10)) {
      const SpaceId bad = one_in(2) ? unknown_space() : SpaceId::kKernel;
      note("clone", engine().space_clone(bad, world_.regions(SpaceId::kKernel)));
      return;
    }
    const SpaceId parent = any_space();
    if (parent == SpaceId::kKernel || world_.user_spaces().size() >= kMostSpaces) return;
    const auto child = world_.clone(parent);
    if (note("clone", child)) {
      const Reference::Space copy =
          reference_.spaces[parent];  // a reference would not outlive the new element
      reference_.spaces[*child] = copy;
      reference_.spaces[*child].regions = &world_.regions(*child);
    } else {
      EXPECT_EQ(child.error(), Status::kNoMemory);
      EXPECT_TRUE(scarce());
    }
  }

  void destroy() {
    if (one_in(10)) {
      note("destroy", engine().space_destroy(one_in(2) ? unknown_space() : SpaceId::kKernel));
      return;
    }
    const SpaceId id = any_space();
    if (id == SpaceId::kKernel) return;
    const bool runs = world_.is_active(id);
    const bool done =
        until_done("destroy", [&](pt::Checkpoint* checkpoint) { return world_.destroy(id, checkpoint); });
    EXPECT_EQ(done, !runs);
    if (done) reference_.spaces.erase(id);
  }

  void activate() {
    world_.machine().set_current(static_cast<unsigned>(below(world_.machine().cpus())));
    if (one_in(10)) {
      note("activate", engine().space_activate(unknown_space()));
      return;
    }
    ASSERT_TRUE(note("activate", world_.activate(one_in(6) ? SpaceId::kKernel : any_space())));
  }

  void object_create() {
    if (one_in(8)) {
      EXPECT_FALSE(note("object create", world_.object_create(AnyEngine::kMaxObjectPages + 1 + below(100))));
      return;
    }
    if (world_.objects().size() >= kMostObjects) return;
    fail_soon();
    const u64 pages = below(one_in(2) ? kMostObjectPages : 64);
    const auto id = world_.object_create(pages);
    if (note("object create", id)) {
      reference_.objects[*id].pages = pages;
    } else {
      EXPECT_TRUE(scarce());
    }
  }

  void object_resize() {
    if (one_in(8)) {
      note("object resize", engine().object_resize(unknown_object(), below(9)));
      return;
    }
    const auto id = any_object();
    if (!id) return;
    if (one_in(8)) {
      EXPECT_FALSE(note("object resize", engine().object_resize(*id, AnyEngine::kMaxObjectPages + 1)));
      return;
    }
    const u64 pages = below(one_in(3) ? kMostObjectPages : 64);
    ASSERT_TRUE(until_done("object resize", [&](pt::Checkpoint* checkpoint) {
      return engine().object_resize(*id, pages, checkpoint);
    }));
    reference_.resize(*id, pages);
  }

  void object_destroy() {
    if (one_in(6)) {
      note("object destroy", engine().object_destroy(unknown_object()));
      return;
    }
    const auto id = any_object();
    if (!id) return;
    if (one_in(2)) {
      // Nothing shows it any more.
      for (auto& [space, promised] : reference_.spaces) unmap_object(space, *id);
    }
    bool mapped = false;
    world_.objects().at(*id)->for_each(0, ~u64{0} >> 1, [&](SpaceId, VaRange) { mapped = true; });
    const bool done = until_done(
        "object destroy", [&](pt::Checkpoint* checkpoint) { return world_.object_destroy(*id, checkpoint); });
    EXPECT_EQ(done, !mapped);
    if (done) reference_.objects.erase(*id);
  }
  void unmap_object(SpaceId space, ObjectId object) {
    std::vector<VaRange> ranges;
    for (const auto& [begin, region] : world_.regions(space).list()) {
      if (region.object == object) ranges.push_back(region.range);
    }
    for (const VaRange range : ranges) {
      ASSERT_TRUE(world_.unmap(space, range));
      reference_.drop(space, range);
    }
  }

  void object_window() {
    if (one_in(8)) {
      note("object window", engine().object_window(unknown_object(), below(9)));
      note("object pages", engine().object_pages(unknown_object()));
      return;
    }
    const auto id = any_object();
    if (!id) return;
    const ReferenceObject& object = reference_.objects.at(*id);
    ASSERT_EQ(*note("object pages", engine().object_pages(*id)), object.pages);
    if (one_in(2)) return fill_object(*id);
    const u64 page = below(object.pages + 4);
    const auto window = engine().object_window(*id, page);
    if (!note("object window", window)) {
      EXPECT_TRUE(window.error() == Status::kPastEnd ? page >= object.pages : scarce());
      return;
    }
    u64* words = reinterpret_cast<u64*>(*window);
    const auto value = object.values.find(page);
    EXPECT_EQ(words[0], value == object.values.end() ? 0 : value->second);
    words[0] = words[511] = ++value_;
    reference_.objects.at(*id).values[page] = value_;
  }
  // Many pages at once, so that taking them out takes long.
  void fill_object(ObjectId id) {
    const u64 pages = reference_.objects.at(id).pages;
    for (u64 page = 0; page < pages; ++page) {
      if (!engine().object_window(id, page)) break;
    }
  }

  void kernel_memory() {
    switch (below(8)) {
      case 0:
        note("kmem alloc", world_.kmem_alloc(0));
        note("kmem free",
             engine().kmem_free(layout_.kmem.begin + pages_to_bytes(16 * below(9) + 1 + below(15)),
                                1 + below(40)));
        return;
      case 1:
        note("kernel window",
             engine().kernel_window(one_in(2) ? layout_.window_area : layout_.kmem.end - kPageBytes));
        return;
      case 2:
      case 3:
      case 4:
        return grant();
      default:
        return take_back();
    }
  }
  void grant() {
    if (grants_.size() >= kMostGrants) return;
    const u64 pages = 1 + below(40);
    const auto begin = world_.kmem_alloc(pages);
    if (!note("kmem alloc", begin)) {
      EXPECT_TRUE(failing_ || world_.frames().free_frames() < 64);
      return;
    }
    for (u64 page = 0; page < pages; ++page) {
      const auto word = world_.touch(*begin + pages_to_bytes(page), Access::kWrite, Privilege::kKernel);
      ASSERT_TRUE(word);
      EXPECT_EQ(**word, 0u);
      **word = begin->value() + page;
    }
    grants_[*begin] = pages;
  }
  void take_back() {
    if (grants_.empty()) return;
    auto chosen = grants_.begin();
    std::advance(chosen, below(grants_.size()));
    const auto [begin, pages] = *chosen;
    for (u64 page = 0; page < pages; ++page) {
      EXPECT_EQ(world_.read(begin + pages_to_bytes(page), Privilege::kKernel), begin.value() + page);
    }
    EXPECT_FALSE(note("kmem free", engine().kmem_free(begin, pages + 16)));
    const u8* window = *note("kernel window", engine().kernel_window(begin));
    EXPECT_EQ(*reinterpret_cast<const u64*>(window), begin.value());
    ASSERT_TRUE(note("kmem free", engine().kmem_free(begin, pages)));
    grants_.erase(chosen);
  }

  // --- comparing ---
  void compare() {
    world_.check();
    for (const auto& [id, space] : reference_.spaces) {
      u64 found = 0;
      engine().for_each_installed(id, [&](Gva va, const Installed& installed) {
        const auto region = space.regions->find(va);
        ASSERT_TRUE(region);
        const u64* words = reinterpret_cast<const u64*>(world_.memory().alias(installed.frame));
        u64 expected = 0;
        const bool anonymous = world_.frames().meta(installed.frame).kind == pt::FrameKind::kAnon;
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

  World world_;
  const Layout& layout_ = world_.layout();
  Reference reference_;
  std::mt19937_64 random_;
  absl::btree_map<Gva, u64> grants_;
  u64 value_ = 0;
  bool failing_ = false;
};

void print(const char* title, const Histogram& histogram) {
  std::printf("%s\n", title);
  for (const auto& [what, times] : histogram) std::printf("  %9" PRIu64 "  %s\n", times, what.c_str());
}

// Every operation and every documented error. Not reachable here: kLimit for want of ids (1,032,192 spaces).
constexpr const char* kExpected[] = {"activate: ok",
                                     "activate: invalid argument",
                                     "clone: ok",
                                     "clone: invalid argument",
                                     "clone: no memory",
                                     "create: ok",
                                     "create: no memory",
                                     "destroy: ok",
                                     "destroy: again",
                                     "destroy: busy",
                                     "destroy: invalid argument",
                                     "dont-need: ok",
                                     "dont-need: again",
                                     "dont-need: invalid argument",
                                     "exec: ok",
                                     "exec: no region",
                                     "exec: permission",
                                     "exec: past end",
                                     "kernel window: ok",
                                     "kernel window: invalid argument",
                                     "kmem alloc: ok",
                                     "kmem alloc: invalid argument",
                                     "kmem alloc: no memory",
                                     "kmem free: ok",
                                     "kmem free: invalid argument",
                                     "map: ok",
                                     "move: ok",
                                     "move: invalid argument",
                                     "move: no memory",
                                     "object create: ok",
                                     "object create: no memory",
                                     "object create: limit",
                                     "object destroy: ok",
                                     "object destroy: again",
                                     "object destroy: busy",
                                     "object destroy: invalid argument",
                                     "object pages: ok",
                                     "object pages: invalid argument",
                                     "object resize: ok",
                                     "object resize: again",
                                     "object resize: invalid argument",
                                     "object resize: limit",
                                     "object window: ok",
                                     "object window: invalid argument",
                                     "object window: no memory",
                                     "object window: past end",
                                     "populate: ok",
                                     "populate: again",
                                     "populate: invalid argument",
                                     "populate: no memory",
                                     "protect: ok",
                                     "protect: again",
                                     "protect: invalid argument",
                                     "read: ok",
                                     "read: no memory",
                                     "read: no region",
                                     "read: past end",
                                     "read: permission",
                                     "unmap: ok",
                                     "unmap: again",
                                     "unmap: invalid argument",
                                     "will-need: ok",
                                     "will-need: again",
                                     "will-need: invalid argument",
                                     "write: ok",
                                     "write: no memory",
                                     "write: no region",
                                     "write: past end",
                                     "write: permission"};

TEST(Random, TwoMillionOperationsDoEverything) {
  RandomRun run(kStoreInGuest, 20'240'101, 1500);
  run.run(2'000'000);
  print("store in guest, 2,000,000 operations:", run.histogram);
  if (HasFailure()) return;
  for (const char* what : kExpected) EXPECT_GE(run.histogram[what], 500u) << what;
}

TEST(Random, ASeedOfItsOwn) {
  const u64 seed = std::random_device{}();
  std::printf("seed %" PRIu64 "\n", seed);
  RandomRun run(kStoreInGuest, seed, 900);
  run.run(100'000);
  EXPECT_FALSE(HasFailure()) << "seed " << seed;
}

class RandomOver : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RandomOver,
                         testing::Values(&kStoreInHypervisor, &kXen, &kLguestLike, &kToldByKvmPv, &kToldByVmi,
                                         &kToldByLguest, &kShadowed, &kNested),
                         kKindName);

TEST_P(RandomOver, KeepsToTheReference) {
  for (const u64 seed : {1u, 2u}) {
    RandomRun run(*GetParam(), seed, 1200);
    run.run(25'000);
    ASSERT_FALSE(HasFailure()) << GetParam()->name << ", seed " << seed;
  }
}

class RandomFormats : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RandomFormats, testing::Values(&kFiveLevelStore, &kPaeStore, &kTwoLevelStore),
                         kKindName);

TEST_P(RandomFormats, TwoHundredThousandOperationsDoEverything) {
  RandomRun run(*GetParam(), 20'240'102, 1500);
  run.run(200'000);
  if (HasFailure()) return;
  for (const char* what : kExpected) EXPECT_GE(run.histogram[what], 50u) << GetParam()->name << ", " << what;
}

}  // namespace
}  // namespace nopte::model
