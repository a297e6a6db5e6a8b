// The conformance cases over the machine model: native-CASE (MmOps over the engine, the guest's home) and
// vma-CASE (MmOps by hypercalls in register form, the hypervisor's home).
#include <gtest/gtest.h>

#include <memory>

#include "hv-mm/vma/vma_memory.h"
#include "native-fallback/guest/engine_mm_ops.h"
#include "native-fallback/sinks/store_sink.h"
#include "tests/conformance/scene.h"
#include "tests/model/machine.h"

namespace nopte::conformance {
namespace {

constexpr u64 kFrames = 3000;
using Sink = pt::StoreSink<model::Machine>;

Status status_of(ViolationReason reason) {
  switch (reason) {
    case ViolationReason::kPastEnd:
      return Status::kPastEnd;
    case ViolationReason::kNoMemory:
      return Status::kNoMemory;
    default:
      return Status::kBadAddress;
  }
}

// A machine with an engine; a home says how faults and calls reach it.
class ModelHome : public Memory {
 public:
  ModelHome() {
    const pt::FrameRange all = memory_.range();
    EXPECT_TRUE(frames_.init(memory_.direct_base(), all, {&all, 1}));
    EXPECT_TRUE(engine_->init());
  }
  virtual ~ModelHome() = default;

  Result<u64> load(Gva va) override { return load_as(va, pt::Privilege::kUser); }
  Status store(Gva va, u64 value) override { return store_as(va, value, pt::Privilege::kUser); }
  u64 kernel_load(Gva va) override { return load_as(va, pt::Privilege::kKernel).value(); }
  void kernel_store(Gva va, u64 value) override {
    EXPECT_EQ(store_as(va, value, pt::Privilege::kKernel), Status::kOk);
  }
  Result<u64> window_load(Gva va) override { return load_as(va, pt::Privilege::kKernel); }
  Status window_store(Gva va, u64 value) override { return store_as(va, value, pt::Privilege::kKernel); }
  virtual void set_windows(const RegionSource& windows) = 0;
  virtual const MmOps& ops() = 0;

 protected:
  virtual ViolationReason fault(Gva va, Access access, pt::Privilege privilege) = 0;

  model::Memory memory_{16, kFrames};
  model::HardwareWalker walker_{memory_, [](pt::Frame frame) { return frame; }};
  model::Machine machine_{memory_, walker_, 1};
  pt::FrameTable frames_;
  Sink sink_{frames_, machine_};
  std::unique_ptr<pt::Engine<Sink>> engine_ = std::make_unique<pt::Engine<Sink>>(sink_, frames_);

 private:
  Result<u64*> word(Gva va, Access access, pt::Privilege privilege) {
    for (int tries = 0; tries < 4; ++tries) {
      if (const auto byte = machine_.access(0, va, access, privilege)) return reinterpret_cast<u64*>(*byte);
      const ViolationReason refused = fault(va, access, privilege);
      if (refused != ViolationReason::kNone) return Fail(status_of(refused));
    }
    ADD_FAILURE() << "the same access faults for ever";
    return Fail(Status::kBadAddress);
  }
  Result<u64> load_as(Gva va, pt::Privilege privilege) {
    const auto at = word(va, Access::kRead, privilege);
    if (!at) return Fail(at.error());
    return **at;
  }
  Status store_as(Gva va, u64 value, pt::Privilege privilege) {
    const auto at = word(va, Access::kWrite, privilege);
    if (!at) return at.error();
    **at = value;
    return Status::kOk;
  }
};

// --- native: MmOps over the engine -----------------------------------------------------------------------

// EngineMm wants a static engine; a fresh one is behind it in every case.
struct EngineSlot {
  pt::Engine<Sink>* engine = nullptr;
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
EngineSlot g_engine;
struct NoHooks {};
NoHooks g_sink;  // wants to know nothing of faults
constexpr MmOps kNativeOps = pt::EngineMm<g_engine, g_sink>::ops("native");

class NativeHome final : public ModelHome {
 public:
  NativeHome() { g_engine.engine = engine_.get(); }
  void set_windows(const RegionSource& windows) override { engine_->set_kernel_regions(windows); }
  const MmOps& ops() override { return kNativeOps; }

 private:
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    return pt::EngineMm<g_engine, g_sink>::fault(va, access, privilege);
  }
};

// --- vma: every call through the register form -----------------------------------------------------------

hv::VmaMemory<Sink>* g_vma = nullptr;

template <class Args>
Result<u64> call(abi::Call number, const Args& args) {
  const hv::CallResult result = g_vma->call(static_cast<u64>(number), abi::encode(args));
  if (result.status != Status::kOk) return Fail(result.status);
  return result.value;
}
template <class Args>
Result<void> call_void(abi::Call number, const Args& args) {
  NOPTE_TRY(call(number, args));
  return {};
}

constexpr MmOps kVmaOps{
    .name = "vma",
    .space_create = [](const RegionSource&) -> Result<SpaceId> {
      const auto made = call(abi::Call::space_create, abi::space_create_args{});
      if (!made) return Fail(made.error());
      return SpaceId(static_cast<u32>(*made));
    },
    .space_clone = [](SpaceId parent, const RegionSource&) -> Result<SpaceId> {
      const auto made = call(abi::Call::space_clone, abi::space_clone_args{parent});
      if (!made) return Fail(made.error());
      return SpaceId(static_cast<u32>(*made));
    },
    .space_destroy =
        [](SpaceId space) { EXPECT_TRUE(call(abi::Call::space_destroy, abi::space_destroy_args{space})); },
    .space_activate =
        [](SpaceId space) { EXPECT_TRUE(call(abi::Call::space_activate, abi::space_activate_args{space})); },
    .region_map =
        [](SpaceId space, const RegionSpec& spec) {
          const u64 flags = spec.perm.bits() | (spec.sharing == Sharing::kShared ? abi::kRegionShared : 0);
          return call_void(abi::Call::region_map,
                           abi::region_map_args{space, spec.range.begin, spec.range.pages(), flags,
                                                spec.object, spec.object_page});
        },
    .region_unmap =
        [](SpaceId space, VaRange range) {
          return call_void(abi::Call::region_unmap,
                           abi::region_unmap_args{space, range.begin, range.pages()});
        },
    .region_protect =
        [](SpaceId space, VaRange range, Perm perm) {
          return call_void(abi::Call::region_protect,
                           abi::region_protect_args{space, range.begin, range.pages(), perm.bits()});
        },
    .region_move =
        [](SpaceId space, VaRange from, Gva to) {
          return call_void(abi::Call::region_move,
                           abi::region_move_args{space, from.begin, from.pages(), to});
        },
    .region_advise =
        [](SpaceId space, VaRange range, Advice advice) {
          return call_void(
              abi::Call::region_advise,
              abi::region_advise_args{space, range.begin, range.pages(), static_cast<u64>(advice)});
        },
    .object_create = [](u64 pages, const ObjectMappings&) -> Result<ObjectId> {
      const auto made = call(abi::Call::object_create, abi::object_create_args{pages});
      if (!made) return Fail(made.error());
      return ObjectId(static_cast<u32>(*made));
    },
    .object_resize =
        [](ObjectId object, u64 pages) {
          return call_void(abi::Call::object_resize, abi::object_resize_args{object, pages});
        },
    .object_destroy =
        [](ObjectId object) {
          return call_void(abi::Call::object_destroy, abi::object_destroy_args{object});
        },
    .kmem_alloc = [](u64 pages) -> Result<Gva> {
      const auto granted = call(abi::Call::kmem_alloc, abi::kmem_alloc_args{pages});
      if (!granted) return Fail(granted.error());
      return Gva(*granted);
    },
    .kmem_free = [](Gva va,
                    u64 pages) { EXPECT_TRUE(call(abi::Call::kmem_free, abi::kmem_free_args{va, pages})); },
    .memory_info =
        [] {
          return MemoryInfo{*call(abi::Call::memory_info, abi::memory_info_args{0}),
                            *call(abi::Call::memory_info, abi::memory_info_args{1})};
        },
};

class VmaHome final : public ModelHome {
 public:
  VmaHome() {
    vma_.init();
    g_vma = &vma_;
  }
  void set_windows(const RegionSource&) override {}
  const MmOps& ops() override { return kVmaOps; }

 private:
  struct Never {
    bool operator()() const { return false; }
  };
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    const auto resolved = vma_.fault(va, access, privilege);
    return resolved ? ViolationReason::kNone : resolved.error();
  }
  Never never_;
  hv::VmaMemory<Sink> vma_{*engine_, frames_, never_};
};

// --- the suite -------------------------------------------------------------------------------------------

class ConformanceTest : public testing::Test {
 public:
  ConformanceTest(const Case& row, std::unique_ptr<ModelHome> (*make)()) : row_(row), make_(make) {}
  void TestBody() override {
    const auto home = make_();
    const auto scene = std::make_unique<Scene>();
    home->set_windows(scene->windows);
    // The first use of a home makes directories that stay.
    const Case warm_up{"warm_up", [](Scene& s) {
                         s.create_active();
                         EXPECT_TRUE(s.object(1));
                         const auto grant = s.kmem(1);
                         s.kmem_free(*grant, 1);
                       }};
    run_case(warm_up, *scene, home->ops(), *home);
    const char* const failure = run_case(row_, *scene, home->ops(), *home);
    EXPECT_EQ(failure, nullptr) << failure;
  }

 private:
  Case row_;
  std::unique_ptr<ModelHome> (*make_)();
};

const bool kRegistered = [] {
  struct Mode {
    const char* name;
    std::unique_ptr<ModelHome> (*make)();
  };
  const Mode modes[] = {
      {"native", [] { return std::unique_ptr<ModelHome>(std::make_unique<NativeHome>()); }},
      {"vma", [] { return std::unique_ptr<ModelHome>(std::make_unique<VmaHome>()); }},
  };
  for (const Mode& mode : modes) {
    for (const Case& row : cases()) {
      testing::RegisterTest(mode.name, row.name, nullptr, nullptr, __FILE__, __LINE__,
                            [=]() -> ConformanceTest* { return new ConformanceTest(row, mode.make); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace nopte::conformance
