// Homes of guests with tables of their own, one for each mode: MmOps over the engine, over the mode's sink.
#include "native-fallback/guest/engine_mm_ops.h"
#include "tests/conformance/hosted/call_bound.h"
#include "tests/conformance/hosted/kind_home.h"
#include "tests/model/nested_kind.h"
#include "tests/model/shadow_kind.h"
#include "tests/model/store_engines.h"
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
  auto space_destroy(SpaceId s, pt::Checkpoint* c = nullptr) { return engine->space_destroy(s, c); }
  auto space_activate(SpaceId s) { return engine->space_activate(s); }
  auto region_unmapped(SpaceId s, VaRange r, pt::Checkpoint* c = nullptr) {
    return engine->region_unmapped(s, r, c);
  }
  auto region_protected(SpaceId s, VaRange r, Perm p, pt::Checkpoint* c = nullptr) {
    return engine->region_protected(s, r, p, c);
  }
  auto region_moved(SpaceId s, VaRange r, Gva to) { return engine->region_moved(s, r, to); }
  auto region_advise(SpaceId s, VaRange r, Advice a, pt::Checkpoint* c = nullptr) {
    return engine->region_advise(s, r, a, c);
  }
  auto region_resident(SpaceId s, VaRange r) { return engine->region_resident(s, r); }
  auto region_installed(SpaceId s, VaRange& r) { return engine->region_installed(s, r); }
  auto object_create(u64 pages, const ObjectMappings& m) { return engine->object_create(pages, m); }
  auto object_resize(ObjectId o, u64 pages, pt::Checkpoint* c = nullptr) {
    return engine->object_resize(o, pages, c);
  }
  auto object_destroy(ObjectId o, pt::Checkpoint* c = nullptr) { return engine->object_destroy(o, c); }
  auto kmem_alloc(u64 pages, pt::Checkpoint* c = nullptr) { return engine->kmem_alloc(pages, c); }
  auto kmem_free(Gva va, u64 pages, pt::Checkpoint* c = nullptr) { return engine->kmem_free(va, pages, c); }
  auto memory_info() { return engine->memory_info(); }
  auto fault(SpaceId s, Gva va, Access a, pt::Privilege p) { return engine->fault(s, va, a, p); }
};

// The operations of Mm, each held to its bound.
template <class Mm, CallBound& bound>
class BoundMm {
 public:
  static constexpr MmOps ops(const char* name) {
    return {
        name,
#define NOPTE_OP(result, name, parameters, arguments) name,
#include "pvops/mm_ops.def"
    };
  }

 private:
  struct Held {
    explicit Held(abi::Call held) : call(held) { bound.begins(); }
    ~Held() { bound.ends(call); }
    abi::Call call;
  };
  static constexpr MmOps kOps = Mm::ops("");
#define NOPTE_OP(result, name, parameters, arguments) \
  static result name parameters {                     \
    const Held held(abi::Call::name);                 \
    return kOps.name arguments;                       \
  }
#include "pvops/mm_ops.def"
};

template <class Kind>
class GuestHome final : public KindHome<Kind> {
 public:
  explicit GuestHome(const char* mode) : ops_(Bound::ops(mode)) {
    bound = {};
    engine_slot.engine = this->engine_.get();
    ops_.space_activate(SpaceId::kKernel);
    this->kind_.booted();
  }
  void set_windows(const RegionSource& windows) override { this->engine_->set_kernel_regions(windows); }
  const MmOps& ops() override { return ops_; }
  const char* broken() override {
    const char* const broken = bound.broken();
    return broken != nullptr ? broken : KindHome<Kind>::broken();
  }

 private:
  inline static EngineSlot<typename KindHome<Kind>::Engine> engine_slot;
  inline static CallBound bound;
  static void look() { bound.look(); }
  using Mm = pt::EngineMm<engine_slot, look>;
  using Bound = BoundMm<Mm, bound>;

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
