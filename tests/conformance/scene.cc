#include "tests/conformance/scene.h"

#include "pvops/base/panic.h"

namespace nopte::conformance {
namespace {
Status status_of(const Result<void>& result) { return result ? Status::kOk : result.error(); }
constexpr Gva window_at(u64 page) { return kWindowRange.begin + pages_to_bytes(page); }
}  // namespace

// --- promised lists ------------------------------------------------------------------------------------

std::optional<RegionSpec> PromiseList::find(Gva va) const {
  const auto region = find_next(va);
  return region && region->range.contains(va) ? region : std::nullopt;
}

std::optional<RegionSpec> PromiseList::find_next(Gva va) const {
  for (const RegionSpec& spec : list()) {
    if (va < spec.range.end) return spec;
  }
  return std::nullopt;
}

void PromiseList::add(const RegionSpec& spec) {
  NOPTE_ASSERT(count_ < kMost);
  u64 i = count_++;
  for (; i > 0 && spec.range.begin < specs_[i - 1].range.begin; --i) specs_[i] = specs_[i - 1];
  specs_[i] = spec;
}

void PromiseList::split_at(Gva va) {
  for (u64 i = 0; i < count_; ++i) {
    RegionSpec& spec = specs_[i];
    if (!spec.range.contains(va) || spec.range.begin == va) continue;
    RegionSpec upper = spec;
    upper.range.begin = va;
    if (upper.object != ObjectId::kNone) upper.object_page += (va - spec.range.begin) >> kPageShift;
    spec.range.end = va;
    add(upper);
    return;
  }
}

void PromiseList::cut(VaRange range) {
  split_at(range.begin);
  split_at(range.end);
  u64 kept = 0;
  for (u64 i = 0; i < count_; ++i) {
    if (!range.contains(specs_[i].range)) specs_[kept++] = specs_[i];
  }
  count_ = kept;
}

void PromiseList::set_perm(VaRange range, Perm perm) {
  split_at(range.begin);
  split_at(range.end);
  for (u64 i = 0; i < count_; ++i) {
    if (range.contains(specs_[i].range)) specs_[i].perm = perm;
  }
}

void PromiseList::move(VaRange from, Gva to) {
  split_at(from.begin);
  split_at(from.end);
  for (u64 i = 0; i < count_; ++i) {
    if (!from.contains(specs_[i].range)) continue;
    RegionSpec spec = specs_[i];
    for (u64 j = i + 1; j < count_; ++j) specs_[j - 1] = specs_[j];
    --count_;
    spec.range = VaRange::of_pages(to + (spec.range.begin - from.begin), spec.range.pages());
    add(spec);
    return;
  }
}

void Scene::Object::for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const {
  const auto look = [&](SpaceId space, const PromiseList& promised) {
    for (const RegionSpec& spec : promised.list()) {
      if (spec.object != id) continue;
      const u64 first = spec.object_page > first_page ? spec.object_page : first_page;
      const u64 spec_end = spec.object_page + spec.range.pages();
      const u64 end = pages > spec_end || first_page + pages > spec_end ? spec_end : first_page + pages;
      if (first >= end) continue;
      visit(space,
            VaRange::of_pages(spec.range.begin + pages_to_bytes(first - spec.object_page), end - first));
    }
  };
  look(SpaceId::kKernel, scene->windows);
  for (const Space& space : scene->spaces_) {
    if (space.used) look(space.id, space.promised);
  }
}

// --- life ----------------------------------------------------------------------------------------------

void Scene::begin(const MmOps& ops, Memory& memory) {
  ops_ = &ops;
  memory_ = &memory;
  failure_ = nullptr;
  for (Space& space : spaces_) space = {};
  for (Object& object : objects_) object.used = false, object.scene = this;
  windows.clear();
  active_ = SpaceId::kKernel;
  exits_allowed_ = 0;
  free_before_ = free_pages();
}

bool Scene::end() {
  activate(SpaceId::kKernel);
  for (Space& space : spaces_) {
    if (space.used) destroy(space.id);
  }
  while (!windows.list().empty()) {
    const VaRange range = windows.list()[0].range;
    expect(unmap_window((range.begin - kWindowRange.begin) >> kPageShift, range.pages()) == Status::kOk,
           "a window could not be unmapped at the end");
    if (failure_ != nullptr) break;
  }
  for (Object& object : objects_) {
    if (object.used) expect(destroy_object(object.id) == Status::kOk, "an object could not be destroyed");
  }
  const bool complete = free_pages() == free_before_;
  return complete;
}

Scene::Space* Scene::slot(SpaceId id) {
  for (Space& space : spaces_) {
    if (space.used && space.id == id) return &space;
  }
  NOPTE_PANIC("a case names a space that it does not have");
}

Scene::Space* Scene::free_slot() {
  for (Space& space : spaces_) {
    if (!space.used) return &space;
  }
  NOPTE_PANIC("a case has too many spaces");
}

// --- calls ---------------------------------------------------------------------------------------------

Result<SpaceId> Scene::create() {
  Space* const space = free_slot();
  ++exits_allowed_;
  space->promised.clear();
  const auto id = ops_->space_create(space->promised);
  if (id) space->used = true, space->id = *id;
  return id;
}

Result<SpaceId> Scene::clone(SpaceId parent) {
  Space* const space = free_slot();
  ++exits_allowed_;
  space->promised.copy(slot(parent)->promised);
  const auto id = ops_->space_clone(parent, space->promised);
  if (id) space->used = true, space->id = *id;
  return id;
}

void Scene::destroy(SpaceId id) {
  ++exits_allowed_;
  Space* const space = slot(id);
  ops_->space_destroy(id);
  space->used = false;
}

void Scene::activate(SpaceId id) {
  ++exits_allowed_;
  ops_->space_activate(id);
  active_ = id;
}

SpaceId Scene::create_active() {
  const auto id = create();
  expect(id.has_value(), "no memory for a space");
  if (!id) return SpaceId::kKernel;
  activate(*id);
  return *id;
}

Status Scene::map(SpaceId id, u64 page, u64 pages, Perm perm) {
  ++exits_allowed_;
  const RegionSpec spec{span(page, pages), perm, Sharing::kPrivate, ObjectId::kNone, 0};
  const Status status = status_of(ops_->region_map(id, spec));
  if (status == Status::kOk) slot(id)->promised.add(spec);
  return status;
}

Status Scene::map_object(SpaceId id, u64 page, u64 pages, ObjectId object, u64 object_page, Sharing sharing,
                         Perm perm) {
  ++exits_allowed_;
  const RegionSpec spec{span(page, pages), perm, sharing, object, object_page};
  const Status status = status_of(ops_->region_map(id, spec));
  if (status == Status::kOk) slot(id)->promised.add(spec);
  return status;
}

Status Scene::unmap(SpaceId id, u64 page, u64 pages) {
  ++exits_allowed_;
  const Status status = status_of(ops_->region_unmap(id, span(page, pages)));
  if (status == Status::kOk) slot(id)->promised.cut(span(page, pages));
  return status;
}

Status Scene::protect(SpaceId id, u64 page, u64 pages, Perm perm) {
  ++exits_allowed_;
  const Status status = status_of(ops_->region_protect(id, span(page, pages), perm));
  if (status == Status::kOk) slot(id)->promised.set_perm(span(page, pages), perm);
  return status;
}

Status Scene::move(SpaceId id, u64 page, u64 pages, u64 to) {
  ++exits_allowed_;
  const Status status = status_of(ops_->region_move(id, span(page, pages), at(to)));
  if (status == Status::kOk) slot(id)->promised.move(span(page, pages), at(to));
  return status;
}

Status Scene::advise(SpaceId id, u64 page, u64 pages, Advice advice) {
  ++exits_allowed_;
  return status_of(ops_->region_advise(id, span(page, pages), advice));
}

Result<ObjectId> Scene::object(u64 pages) {
  for (Object& object : objects_) {
    if (object.used) continue;
    ++exits_allowed_;
    const auto id = ops_->object_create(pages, object);
    if (id) object.used = true, object.id = *id;
    return id;
  }
  NOPTE_PANIC("a case has too many objects");
}

Status Scene::resize(ObjectId object, u64 pages) {
  ++exits_allowed_;
  return status_of(ops_->object_resize(object, pages));
}

Status Scene::destroy_object(ObjectId id) {
  ++exits_allowed_;
  const Status status = status_of(ops_->object_destroy(id));
  for (Object& object : objects_) {
    if (status == Status::kOk && object.used && object.id == id) object.used = false;
  }
  return status;
}

Status Scene::map_window(ObjectId object, u64 window_page, u64 pages, u64 object_page) {
  ++exits_allowed_;
  const RegionSpec spec{VaRange::of_pages(window_at(window_page), pages), kPermRW, Sharing::kShared, object,
                        object_page};
  const Status status = status_of(ops_->region_map(SpaceId::kKernel, spec));
  if (status == Status::kOk) {
    windows.add(spec);
    memory_->window_promised(spec);
  }
  return status;
}

Status Scene::unmap_window(u64 window_page, u64 pages) {
  ++exits_allowed_;
  const VaRange range = VaRange::of_pages(window_at(window_page), pages);
  const Status status = status_of(ops_->region_unmap(SpaceId::kKernel, range));
  if (status == Status::kOk) {
    windows.cut(range);
    memory_->window_withdrawn(range);
  }
  return status;
}

Result<Gva> Scene::kmem(u64 pages) {
  ++exits_allowed_;
  return ops_->kmem_alloc(pages);
}

void Scene::kmem_free(Gva va, u64 pages) {
  ++exits_allowed_;
  ops_->kmem_free(va, pages);
}

u64 Scene::free_pages() {
  exits_allowed_ += 2;  // one call for each of the two numbers
  return ops_->memory_info().free_pages;
}

// --- accesses ------------------------------------------------------------------------------------------

Status Scene::store(u64 page, u64 value, u64 word) {
  ++exits_allowed_;
  return warm_store(page, value, word);
}
Result<u64> Scene::load(u64 page, u64 word) {
  ++exits_allowed_;
  return warm_load(page, word);
}
Status Scene::warm_store(u64 page, u64 value, u64 word) { return memory_->store(at(page) + word * 8, value); }
Result<u64> Scene::warm_load(u64 page, u64 word) { return memory_->load(at(page) + word * 8); }
Result<u64> Scene::window_load(u64 window_page) {
  ++exits_allowed_;
  return memory_->window_load(window_at(window_page));
}
Status Scene::window_store(u64 window_page, u64 value) {
  ++exits_allowed_;
  return memory_->window_store(window_at(window_page), value);
}

const char* run_case(const Case& row, Scene& scene, const MmOps& ops, Memory& memory) {
  scene.begin(ops, memory);
  row.run(scene);
  const bool complete = scene.end();
  scene.expect(complete, "memory is missing at the end");
  return scene.failure();
}

}  // namespace nopte::conformance
