// An engine of any sink and format behind one type, so that a test is compiled once, and an engine once for
// all tests. The methods are pt::Engine's, and so is what they say.
#pragma once

#include "native-fallback/engine/engine.h"

namespace nopte::model {

using pt::Frame;

// pt::Engine::Installed, without its format.
struct Installed {
  Frame frame;
  bool present;
  unsigned level;
  Perm rights;
  bool user;
  bool touched;  // or it is not known
};

class AnyEngine {
 public:
  using Checkpoint = pt::Checkpoint;
  using FaultResult = std::expected<void, ViolationReason>;
  static constexpr u64 kMaxObjectPages = u64{1} << 36;

  virtual ~AnyEngine() = default;

  virtual Result<void> map_kernel_frames(Gva begin, pt::FrameRange frames, Perm perm) = 0;
  virtual Result<void> map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm) = 0;
  virtual Result<void> map_direct(pt::FrameRange range) = 0;
  virtual void set_kernel_regions(const RegionSource& windows) = 0;
  virtual void shut_down() = 0;

  virtual Result<SpaceId> space_create(const RegionSource& promised) = 0;
  virtual Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised) = 0;
  virtual Result<void> space_destroy(SpaceId space, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> space_activate(SpaceId space) = 0;

  virtual Result<void> region_unmapped(SpaceId space, VaRange range, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> region_protected(SpaceId space, VaRange range, Perm perm,
                                        Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> region_moved(SpaceId space, VaRange from, Gva to) = 0;
  virtual Result<void> make_ready(SpaceId space, VaRange whole) = 0;
  virtual Result<void> region_advise(SpaceId space, VaRange range, Advice advice,
                                     Checkpoint* checkpoint = nullptr) = 0;

  virtual Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings) = 0;
  virtual Result<ObjectId> object_adopt(pt::FrameRange contents, const ObjectMappings& mappings) = 0;
  virtual Result<void> object_resize(ObjectId object, u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> object_destroy(ObjectId object, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<u64> object_pages(ObjectId object) const = 0;
  virtual Result<u8*> object_window(ObjectId object, u64 page) = 0;

  virtual Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint = nullptr) = 0;
  virtual Result<u8*> kernel_window(Gva va) = 0;

  virtual FaultResult fault(SpaceId space, Gva va, Access access, pt::Privilege privilege) = 0;

  virtual const pt::EngineCounters& counters() const = 0;
  virtual Result<u64> region_resident(SpaceId space, VaRange range) const = 0;
  virtual Result<InstalledPages> region_installed(SpaceId space, VaRange& range) const = 0;
  virtual std::optional<Installed> peek(SpaceId space, Gva va) const = 0;
  virtual Result<Frame> root(SpaceId space) const = 0;
  virtual void for_each_installed(SpaceId space, FunctionRef<void(Gva, const Installed&)> visit) const = 0;
};

template <class Sink>
class EngineOf final : public AnyEngine {
 public:
  using Engine = pt::Engine<Sink>;
  static_assert(Engine::kMaxObjectPages == kMaxObjectPages);

  EngineOf(Sink& sink, pt::FrameTable& frames) : engine(sink, frames) {}

  Result<void> map_kernel_frames(Gva begin, pt::FrameRange frames, Perm perm) override {
    return engine.map_kernel_frames(begin, frames, perm);
  }
  Result<void> map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm) override {
    return engine.map_kernel_image(begin, pages, contents, perm);
  }
  Result<void> map_direct(pt::FrameRange range) override { return engine.map_direct(range); }
  void set_kernel_regions(const RegionSource& windows) override { engine.set_kernel_regions(windows); }
  void shut_down() override { engine.shut_down(); }

  Result<SpaceId> space_create(const RegionSource& promised) override {
    return engine.space_create(promised);
  }
  Result<SpaceId> space_clone(SpaceId parent, const RegionSource& promised) override {
    return engine.space_clone(parent, promised);
  }
  Result<void> space_destroy(SpaceId space, Checkpoint* checkpoint) override {
    return engine.space_destroy(space, checkpoint);
  }
  Result<void> space_activate(SpaceId space) override { return engine.space_activate(space); }

  Result<void> region_unmapped(SpaceId space, VaRange range, Checkpoint* checkpoint) override {
    return engine.region_unmapped(space, range, checkpoint);
  }
  Result<void> region_protected(SpaceId space, VaRange range, Perm perm, Checkpoint* checkpoint) override {
    return engine.region_protected(space, range, perm, checkpoint);
  }
  Result<void> make_ready(SpaceId space, VaRange whole) override { return engine.make_ready(space, whole); }
  Result<void> region_moved(SpaceId space, VaRange from, Gva to) override {
    return engine.region_moved(space, from, to);
  }
  Result<void> region_advise(SpaceId space, VaRange range, Advice advice, Checkpoint* checkpoint) override {
    return engine.region_advise(space, range, advice, checkpoint);
  }

  Result<ObjectId> object_create(u64 pages, const ObjectMappings& mappings) override {
    return engine.object_create(pages, mappings);
  }
  Result<ObjectId> object_adopt(pt::FrameRange contents, const ObjectMappings& mappings) override {
    return engine.object_adopt(contents, mappings);
  }
  Result<void> object_resize(ObjectId object, u64 pages, Checkpoint* checkpoint) override {
    return engine.object_resize(object, pages, checkpoint);
  }
  Result<void> object_destroy(ObjectId object, Checkpoint* checkpoint) override {
    return engine.object_destroy(object, checkpoint);
  }
  Result<u64> object_pages(ObjectId object) const override { return engine.object_pages(object); }
  Result<u8*> object_window(ObjectId object, u64 page) override { return engine.object_window(object, page); }

  Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint) override {
    return engine.kmem_alloc(pages, checkpoint);
  }
  Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint) override {
    return engine.kmem_free(begin, pages, checkpoint);
  }
  Result<u8*> kernel_window(Gva va) override { return engine.kernel_window(va); }

  FaultResult fault(SpaceId space, Gva va, Access access, pt::Privilege privilege) override {
    return engine.fault(space, va, access, privilege);
  }

  const pt::EngineCounters& counters() const override { return engine.counters(); }
  Result<InstalledPages> region_installed(SpaceId space, VaRange& range) const override {
    return engine.region_installed(space, range);
  }
  Result<u64> region_resident(SpaceId space, VaRange range) const override {
    return engine.region_resident(space, range);
  }
  std::optional<Installed> peek(SpaceId space, Gva va) const override {
    const auto found = engine.peek(space, va);
    if (!found) return std::nullopt;
    Installed page = without_format(*found);
    if (found->level == 2) page.frame = page.frame + va.page() % pages_of_large();
    return page;
  }
  Result<Frame> root(SpaceId space) const override { return engine.root(space); }
  void for_each_installed(SpaceId space, FunctionRef<void(Gva, const Installed&)> visit) const override {
    engine.for_each_installed(space, [&](Gva va, const typename Engine::Installed& found) {
      // A large one page by page.
      Installed page = without_format(found);
      const Gva end = va + pages_to_bytes(found.level == 2 ? pages_of_large() : 1);
      for (; va < end; va += kPageBytes, page.frame = page.frame + 1) visit(va, page);
    });
  }

  Engine engine;

 private:
  static constexpr u64 pages_of_large() { return Sink::Format::entry_bytes(2) >> kPageShift; }
  static Installed without_format(const typename Engine::Installed& found) {
    return {found.entry.frame(), found.entry.present(), found.level, found.rights,
            found.user,          found.entry.accessed()};
  }
};

}  // namespace nopte::model
