// RandomRun: what is done to objects and to kernel memory.
#include "tests/model/random_run.h"

namespace nopte::model {
namespace {

constexpr u64 kMostObjects = 3;
constexpr u64 kMostGrants = 5;
constexpr u64 kMostObjectPages = 300;

}  // namespace

void RandomRun::object_create() {
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

void RandomRun::object_resize() {
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

void RandomRun::object_destroy() {
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

void RandomRun::unmap_object(SpaceId space, ObjectId object) {
  std::vector<VaRange> ranges;
  for (const auto& [begin, region] : world_.regions(space).list()) {
    if (region.object == object) ranges.push_back(region.range);
  }
  for (const VaRange range : ranges) {
    if (!world_.unmap(space, range)) {
      EXPECT_TRUE(scarce());  // it ends amidst what a clone has too
      return;
    }
    reference_.drop(space, range);
  }
}

void RandomRun::object_pointer() {
  if (one_in(8)) {
    note("object pointer", engine().object_pointer(unknown_object(), below(9)));
    note("object pages", engine().object_pages(unknown_object()));
    return;
  }
  const auto id = any_object();
  if (!id) return;
  const ReferenceObject& object = reference_.objects.at(*id);
  ASSERT_EQ(*note("object pages", engine().object_pages(*id)), object.pages);
  if (one_in(2)) return fill_object(*id);
  const u64 page = below(object.pages + 4);
  const auto at = engine().object_pointer(*id, page);
  if (!note("object pointer", at)) {
    EXPECT_TRUE(at.error() == Status::kPastEnd ? page >= object.pages : scarce());
    return;
  }
  u64* words = reinterpret_cast<u64*>(*at);
  const auto value = object.values.find(page);
  EXPECT_EQ(words[0], value == object.values.end() ? 0 : value->second);
  words[0] = words[511] = ++value_;
  reference_.objects.at(*id).values[page] = value_;
}

void RandomRun::fill_object(ObjectId id) {
  const u64 pages = reference_.objects.at(id).pages;
  for (u64 page = 0; page < pages; ++page) {
    if (!engine().object_pointer(id, page)) break;
  }
}

void RandomRun::kernel_memory() {
  switch (below(8)) {
    case 0:
      note("kmem alloc", world_.kmem_alloc(0));
      note("kmem free", engine().kmem_free(layout_.kmem.begin + pages_to_bytes(16 * below(9) + 1 + below(15)),
                                           1 + below(40)));
      return;
    case 1:
      note("kernel pointer",
           engine().kernel_pointer(one_in(2) ? layout_.window_area : layout_.kmem.end - kPageBytes));
      return;
    case 2:
    case 3:
    case 4:
      return grant();
    default:
      return take_back();
  }
}

void RandomRun::grant() {
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

void RandomRun::take_back() {
  if (grants_.empty()) return;
  auto chosen = grants_.begin();
  std::advance(chosen, below(grants_.size()));
  const auto [begin, pages] = *chosen;
  for (u64 page = 0; page < pages; ++page) {
    EXPECT_EQ(world_.read(begin + pages_to_bytes(page), Privilege::kKernel), begin.value() + page);
  }
  EXPECT_FALSE(note("kmem free", engine().kmem_free(begin, pages + 16)));
  const u8* at = *note("kernel pointer", engine().kernel_pointer(begin));
  EXPECT_EQ(*reinterpret_cast<const u64*>(at), begin.value());
  ASSERT_TRUE(note("kmem free", engine().kmem_free(begin, pages)));
  grants_.erase(chosen);
}

}  // namespace nopte::model
