// What is behind AnyEngine and AnyKind. For kinds/*.cc, and for tests of one kind.
#pragma once

#include "native-fallback/engine/engine.h"
#include "tests/model/kinds.h"

namespace nopte::model {

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
  Result<u8*> object_pointer(ObjectId object, u64 page) override {
    return engine.object_pointer(object, page);
  }

  Result<Gva> kmem_alloc(u64 pages, Checkpoint* checkpoint) override {
    return engine.kmem_alloc(pages, checkpoint);
  }
  Result<void> kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint) override {
    return engine.kmem_free(begin, pages, checkpoint);
  }
  Result<u8*> kernel_pointer(Gva va) override { return engine.kernel_pointer(va); }

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

template <class Kind>
class KindOf final : public AnyKind {
 public:
  using Sink = typename Kind::Sink;
  using Format = typename Sink::Format;

  KindOf(u64 frames_count, unsigned cpus) : kind(frames_count, cpus), any_engine_(kind.sink, kind.frames) {
    const pt::FrameRange pool = kind.pool();
    NOPTE_ASSERT(kind.frames.init(kind.memory.direct_base(), kind.memory.range(), {&pool, 1}));
  }

  const Layout& layout() const override { return kLayout; }
  AnyEngine& engine() override { return any_engine_; }
  Machine& machine() override { return kind.machine; }
  Memory& memory() override { return kind.memory; }
  pt::FrameTable& frames() override { return kind.frames; }

  pt::FrameRange outside() const override { return kind.outside(); }
  Result<void> init() override { return kind.init(any_engine_.engine); }
  u64 adopted() const override { return Kind::kAdopted; }
  void booted() override { kind.booted(); }
  void ends(Frame kernel_root) override { kind.ends(kernel_root); }
  u64 exits() const override { return kind.exits(); }
  void check() override { kind.check(); }

  bool can_share_tables() const override { return kind.sink.can_share_tables(); }
  bool processor_marks() const override { return kind.sink.processor_marks(); }
  bool large_pages() const override { return pt::kLargePages<Sink>; }
  void complete() override { kind.sink.complete(); }

  void for_each_entry(Frame table, unsigned level, bool root_of_a_space,
                      FunctionRef<void(unsigned)> visit) override {
    const u8* entries = kind.memory.alias(table);
    const unsigned counted = root_of_a_space
                                 ? Format::table_index(Format::kUserRange.end, Format::kLevels) + 1
                                 : Format::entries(level);
    for (unsigned i = 0; i < counted; ++i) {
      if (pt::load_entry<typename Format::Entry>(entries, i).empty()) continue;
      if (level < Format::kLevels || !Kind::is_foreign(level, i)) visit(i);
    }
  }
  std::optional<Frame> entry_frame(Frame table, unsigned level, unsigned index) override {
    const auto entry = kind.sink.view(table).read(index);
    if (entry.empty() || (level > 1 && entry.large())) return std::nullopt;
    return entry.frame();
  }
  std::optional<Frame> large_frame(Frame table, unsigned level, unsigned index) override {
    const auto entry = kind.sink.view(table).read(index);
    if (level == 1 || !entry.large()) return std::nullopt;
    return entry.large_frame();
  }
  bool marked(const pt::FrameMeta& table, unsigned index) const override {
    return (table.back >> (index / pt::kEntriesPerMark<Format>)&1) != 0;
  }

  // For tests of one kind.
  pt::Engine<Sink>& own_engine() { return any_engine_.engine; }
  Kind kind;

 private:
  static constexpr Layout kLayout = layout_of<Format>();

  EngineOf<Sink> any_engine_;
};

template <class Kind>
constexpr KindRow row_of() {
  u64 entries_per_exit = 0;
  if constexpr (requires { Kind::kEntriesPerExit; }) entries_per_exit = Kind::kEntriesPerExit;
  return {Kind::kName, Kind::kDirectMap, entries_per_exit,
          [](u64 frames, unsigned cpus) -> std::unique_ptr<AnyKind> {
            return std::make_unique<KindOf<Kind>>(frames, cpus);
          }};
}

}  // namespace nopte::model
