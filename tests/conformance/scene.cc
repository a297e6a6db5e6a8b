#include "tests/conformance/scene.h"

#include "pvops/base/panic.h"

namespace nopte::conformance {
namespace {

using abi::Call;

template <class T>
Status status_of(const Result<T>& result) {
  return result ? Status::kOk : result.error();
}
u64 least(u64 a, u64 b) { return a < b ? a : b; }

}  // namespace

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

void Scene::begin(const MmOps& ops, Memory& memory, const ExitCosts& costs) {
  ops_ = &ops;
  memory_ = &memory;
  failure_ = nullptr;
  budget_.begin(costs);
  used_ = {};
  for (Space& space : spaces_) space.used = false;
  for (Object& object : objects_) object.used = false, object.scene = this;
  windows.clear();
  kernel_installed_ = 0;
  active_ = SpaceId::kKernel;
  free_before_ = free_pages();
}

bool Scene::end() {
  activate(SpaceId::kKernel);
  for (Space& space : spaces_) {
    if (space.used) destroy(space.id);
  }
  while (!windows.list().empty()) {
    const VaRange range = windows.list()[0].range;
    expect(unmap_range(SpaceId::kKernel, range) == Status::kOk, "a window could not be unmapped at the end");
    if (failure_ != nullptr) break;
  }
  for (Object& object : objects_) {
    if (object.used) expect(destroy_object(object.id) == Status::kOk, "an object could not be destroyed");
  }
  return free_pages() == free_before_;
}

Scene::Space* Scene::slot(SpaceId id) {
  for (Space& space : spaces_) {
    if (space.used && space.id == id) return &space;
  }
  return nullptr;
}

Scene::Space* Scene::free_slot() {
  for (Space& space : spaces_) {
    if (!space.used) return &space;
  }
  NOPTE_PANIC("a case has too many spaces");
}

PromiseList* Scene::promises(SpaceId id) {
  if (id == SpaceId::kKernel) return &windows;
  Space* const space = slot(id);
  return space == nullptr ? nullptr : &space->promised;
}

// --- what it may cost ----------------------------------------------------------------------------------

void Scene::called(Call call, u64 entries) {
  used_.add(call);
  budget_.call(entries);
}

u64 Scene::installed(SpaceId id, VaRange range) {
  const Space* const space = slot(id);
  return least(space != nullptr ? space->installed : kernel_installed_, range.empty() ? 0 : range.pages());
}

u64 Scene::installed_anywhere() const {
  u64 all = kernel_installed_;
  for (const Space& space : spaces_) {
    if (space.used) all += space.installed;
  }
  return all;
}

void Scene::touched(Gva va) {
  budget_.touch();
  if (kWindowRange.contains(va)) {
    ++kernel_installed_;
  } else if (Space* const space = slot(active_)) {
    ++space->installed;
  }
}

// --- calls ---------------------------------------------------------------------------------------------

Result<SpaceId> Scene::create() {
  Space* const space = free_slot();
  called(Call::space_create);
  space->promised.clear();
  space->installed = 0;
  const auto id = ops_->space_create(space->promised);
  if (id) space->used = true, space->id = *id;
  return id;
}

Result<SpaceId> Scene::clone(SpaceId parent_id) {
  Space* const space = free_slot();
  const Space* const parent = slot(parent_id);
  space->promised.clear();
  space->installed = 0;
  if (parent != nullptr) {
    space->promised.copy(parent->promised);
    space->installed = parent->installed;
  }
  called(Call::space_clone, space->installed);
  const auto id = ops_->space_clone(parent_id, space->promised);
  if (id) space->used = true, space->id = *id;
  return id;
}

void Scene::destroy(SpaceId id) {
  Space* const space = slot(id);
  NOPTE_ASSERT(space != nullptr);
  called(Call::space_destroy, space->installed);
  ops_->space_destroy(id);
  space->used = false;
}

void Scene::activate(SpaceId id) {
  called(Call::space_activate);
  ops_->space_activate(id);
  active_ = id;
}

void Scene::switch_to(SpaceId id, SpaceId gone_id) {
  Space* const gone = slot(gone_id);
  NOPTE_ASSERT(gone != nullptr);
  called(Call::space_switch, gone->installed);
  ops_->space_switch(id, gone_id);
  gone->used = false;
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
  return map_region(id, {.range = span(page, pages), .perm = perm});
}

Status Scene::map_object(SpaceId id, u64 page, u64 pages, ObjectId object, u64 object_page, Sharing sharing,
                         Perm perm) {
  return map_region(id, {.range = span(page, pages),
                         .perm = perm,
                         .sharing = sharing,
                         .object = object,
                         .object_page = object_page});
}

Status Scene::map_region(SpaceId id, const RegionSpec& spec) {
  called(Call::region_map);
  const Status status = status_of(ops_->region_map(id, spec, 0));
  PromiseList* const list = promises(id);
  if (status != Status::kOk || list == nullptr) return status;
  list->add(spec);
  if (id == SpaceId::kKernel) memory_->window_promised(spec);
  return status;
}

Status Scene::map_with(SpaceId id, u64 page, u64 pages, u32 flags, Perm perm) {
  const RegionSpec spec{.range = span(page, pages), .perm = perm};
  const u64 replaced = installed(id, spec.range);
  const u64 ahead = flags & kMapPopulate ? installed_ahead(id, spec.range) : 0;
  called(Call::region_map, replaced + ahead);
  const auto mapped = ops_->region_map(id, spec, flags);
  if (!mapped) return mapped.error();
  PromiseList* const list = promises(id);
  if (list == nullptr) return Status::kOk;
  list->cut(spec.range);
  list->add(spec);
  if (!(flags & kMapPopulate) || *mapped == Populated::kYes) return Status::kOk;
  called(Call::region_advise, ahead);
  return status_of(ops_->region_advise(id, spec.range, Advice::kPopulate));
}

Status Scene::unmap_range(SpaceId id, VaRange range) {
  called(Call::region_unmap, installed(id, range));
  const Status status = status_of(ops_->region_unmap(id, range));
  PromiseList* const list = promises(id);
  if (status != Status::kOk || list == nullptr) return status;
  list->cut(range);
  if (id == SpaceId::kKernel) memory_->window_withdrawn(range);
  return status;
}

Status Scene::protect_range(SpaceId id, VaRange range, Perm perm) {
  called(Call::region_protect, installed(id, range));
  const Status status = status_of(ops_->region_protect(id, range, perm, RightsChange::kAny));
  PromiseList* const list = promises(id);
  if (status != Status::kOk || list == nullptr) return status;
  list->set_perm(range, perm);
  if (id == SpaceId::kKernel) {
    memory_->window_withdrawn(range);
    for (const RegionSpec& spec : list->list()) {
      if (range.contains(spec.range)) memory_->window_promised(spec);
    }
  }
  return status;
}

Status Scene::move_range(SpaceId id, VaRange from, Gva to) {
  // Each entry goes from one place and arrives at another.
  called(Call::region_move, 2 * installed(id, from));
  const Status status = status_of(ops_->region_move(id, from, to));
  PromiseList* const list = promises(id);
  if (status != Status::kOk || list == nullptr) return status;
  list->move(from, to);
  if (id == SpaceId::kKernel) {
    memory_->window_withdrawn(from);
    if (const auto spec = list->find(to)) memory_->window_promised(*spec);
  }
  return status;
}

// What populating the range installs at most.
u64 Scene::installed_ahead(SpaceId id, VaRange range) {
  Space* const space = slot(id);
  (space != nullptr ? space->installed : kernel_installed_) += range.pages();
  return range.pages();
}

Status Scene::advise_range(SpaceId id, VaRange range, Advice advice) {
  const bool ahead = advice != Advice::kDontNeed && !range.empty();
  called(Call::region_advise, ahead ? installed_ahead(id, range) : installed(id, range));
  return status_of(ops_->region_advise(id, range, advice));
}

Status Scene::use_range(SpaceId id, VaRange range, Advice advice) {
  called(Call::region_advise);
  const Status status = status_of(ops_->region_advise(id, range, advice));
  if (status != Status::kOk && status != Status::kUnsupported) return status;
  if (PromiseList* const list = promises(id)) list->set_usage(range, usage_change(advice));
  return Status::kOk;
}

Result<u64> Scene::count(SpaceId id, u64 page, u64 pages) {
  called(Call::region_installed);
  const auto found = ops_->region_installed(id, span(page, pages));
  if (!found) return Fail(found.error());
  return found->pages;
}

Result<u64> Scene::resident(SpaceId id, u64 page, u64 pages) {
  called(Call::region_resident);
  return ops_->region_resident(id, span(page, pages));
}

Result<ObjectId> Scene::object(u64 pages) {
  for (Object& object : objects_) {
    if (object.used) continue;
    called(Call::object_create);
    const auto id = ops_->object_create(pages, object);
    if (id) object.used = true, object.id = *id;
    return id;
  }
  NOPTE_PANIC("a case has too many objects");
}

Status Scene::resize(ObjectId object, u64 pages) {
  called(Call::object_resize, installed_anywhere());
  return status_of(ops_->object_resize(object, pages));
}

Status Scene::destroy_object(ObjectId id) {
  called(Call::object_destroy);
  const Status status = status_of(ops_->object_destroy(id));
  for (Object& object : objects_) {
    if (status == Status::kOk && object.used && object.id == id) object.used = false;
  }
  return status;
}

Status Scene::map_window(ObjectId object, u64 window_page, u64 pages, u64 object_page, Perm perm) {
  return map_region(SpaceId::kKernel, {.range = VaRange::of_pages(window_at(window_page), pages),
                                       .perm = perm,
                                       .sharing = Sharing::kShared,
                                       .object = object,
                                       .object_page = object_page});
}

Status Scene::unmap_window(u64 window_page, u64 pages) {
  return unmap_range(SpaceId::kKernel, VaRange::of_pages(window_at(window_page), pages));
}

Result<Gva> Scene::kmem(u64 pages) {
  called(Call::kmem_alloc, least(pages, u64{1} << 20) + 16);
  return ops_->kmem_alloc(pages);
}

void Scene::kmem_free(Gva va, u64 pages) {
  if (va == Gva()) return;
  called(Call::kmem_free, pages + 16);
  ops_->kmem_free(va, pages);
}

u64 Scene::free_pages() {
  budget_.shortage();  // who asks means to use it up
  called(Call::memory_info);
  called(Call::memory_info);  // one call for each of the two numbers
  return ops_->memory_info().free_pages;
}

// --- what cases begin with -----------------------------------------------------------------------------

ObjectId Scene::make_object(u64 pages) {
  const auto id = object(pages);
  expect(id.has_value(), "no memory for an object");
  return id ? *id : ObjectId::kNone;
}

SpaceId Scene::make_clone(SpaceId parent) {
  const auto id = clone(parent);
  expect(id.has_value(), "no memory for a clone");
  return id ? *id : parent;
}

Gva Scene::make_kmem(u64 pages) {
  const auto granted = kmem(pages);
  expect(granted.has_value(), "no kernel memory");
  return granted ? *granted : Gva();
}

Status Scene::map_unlisted(SpaceId id, u64 page, Perm perm) {
  called(Call::region_map);
  return status_of(ops_->region_map(id, {.range = span(page, 1), .perm = perm}, 0));
}

const char* run_case(const Case& row, Scene& scene, const MmOps& ops, Memory& memory,
                     const ExitCosts& costs) {
  scene.begin(ops, memory, costs);
  row.run(scene);
  scene.expect(scene.used().contains(row.about), "the case does not do what it is about");
  const bool complete = scene.end();
  scene.expect(complete, "memory is missing at the end");
  return scene.failure();
}

}  // namespace nopte::conformance
