// EngineMm wants a static engine; behind this one is a fresh engine in every case.
#pragma once

#include "native-fallback/engine/engine.h"

namespace nopte::conformance {

template <class Engine>
struct EngineSlot {
  Engine* engine = nullptr;
  auto space_create(const RegionSource& p) { return engine->space_create(p); }
  auto space_clone(SpaceId s, const RegionSource& p) { return engine->space_clone(s, p); }
  auto space_destroy(SpaceId s) { return engine->space_destroy(s); }
  auto space_activate(SpaceId s) { return engine->space_activate(s); }
  auto region_unmapped(SpaceId s, VaRange r) { return engine->region_unmapped(s, r); }
  auto region_protected(SpaceId s, VaRange r, Perm p) { return engine->region_protected(s, r, p); }
  auto region_moved(SpaceId s, VaRange r, Gva to) { return engine->region_moved(s, r, to); }
  auto region_advise(SpaceId s, VaRange r, Advice a) { return engine->region_advise(s, r, a); }
  auto object_create(u64 pages, const ObjectMappings& m) { return engine->object_create(pages, m); }
  auto object_resize(ObjectId o, u64 pages) { return engine->object_resize(o, pages); }
  auto object_destroy(ObjectId o) { return engine->object_destroy(o); }
  auto kmem_alloc(u64 pages) { return engine->kmem_alloc(pages); }
  auto kmem_free(Gva va, u64 pages) { return engine->kmem_free(va, pages); }
  auto memory_info() { return engine->memory_info(); }
  auto fault(SpaceId s, Gva va, Access a, pt::Privilege p) { return engine->fault(s, va, a, p); }
};

}  // namespace nopte::conformance
