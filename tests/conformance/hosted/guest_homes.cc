// Homes of guests with tables of their own, one for each mode: MmOps over the engine, over the mode's sink.
#include "native-fallback/guest/engine_mm_ops.h"
#include "tests/conformance/hosted/kind_home.h"
#include "tests/model/nested_kind.h"
#include "tests/model/shadow_kind.h"
#include "tests/model/store_kinds.h"
#include "tests/model/told_kinds.h"
#include "tests/model/xen_kind.h"

namespace nopte::conformance {
namespace {

// EngineMm wants a static engine; behind this one is a fresh engine in every case.
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

template <class Kind>
class GuestHome final : public KindHome<Kind> {
 public:
  explicit GuestHome(const char* mode) : ops_(Mm::ops(mode)) {
    engine_slot.engine = this->engine_.get();
    ops_.space_activate(SpaceId::kKernel);
    this->kind_.booted();
  }
  void set_windows(const RegionSource& windows) override { this->engine_->set_kernel_regions(windows); }
  const MmOps& ops() override { return ops_; }

 private:
  inline static EngineSlot<typename KindHome<Kind>::Engine> engine_slot;
  using Mm = pt::EngineMm<engine_slot>;

  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    return Mm::fault(va, access, privilege);
  }

  MmOps ops_;
};

}  // namespace

std::unique_ptr<Home> make_native_home() {
  return std::make_unique<GuestHome<model::StoreInGuest>>("native");
}
std::unique_ptr<Home> make_nested_home() { return std::make_unique<GuestHome<model::Nested>>("native"); }
std::unique_ptr<Home> make_shadow_home() { return std::make_unique<GuestHome<model::Shadowed>>("native"); }
std::unique_ptr<Home> make_kvmpv_home() { return std::make_unique<GuestHome<model::ToldByKvmPv>>("kvmpv"); }
std::unique_ptr<Home> make_vmi_home() { return std::make_unique<GuestHome<model::ToldByVmi>>("vmi"); }
std::unique_ptr<Home> make_lguest_home() {
  return std::make_unique<GuestHome<model::ToldByLguest>>("lguest");
}
std::unique_ptr<Home> make_xen_home() { return std::make_unique<GuestHome<model::Xen>>("xen"); }

}  // namespace nopte::conformance
