// A kind of world behind one type (kind.h says what kinds are). Tests see kinds by the rows of kinds.h.
#pragma once

#include <memory>

#include "native-fallback/tables/entry.h"
#include "tests/model/any_engine.h"
#include "tests/model/layout.h"
#include "tests/model/machine.h"

namespace nopte::model {

class AnyKind {
 public:
  virtual ~AnyKind() = default;

  [[nodiscard]] virtual const Layout& layout() const = 0;
  virtual AnyEngine& engine() = 0;
  virtual Machine& machine() = 0;
  virtual Memory& memory() = 0;
  virtual pt::FrameTable& frames() = 0;

  // --- as KindBase says ---
  [[nodiscard]] virtual pt::FrameRange outside() const = 0;
  virtual Result<void> init() = 0;
  [[nodiscard]] virtual u64 adopted() const = 0;
  virtual void booted() = 0;
  virtual void ends(Frame kernel_root) = 0;
  [[nodiscard]] virtual bool is_foreign(unsigned level, unsigned index) const = 0;
  [[nodiscard]] virtual u64 exits() const = 0;
  virtual void check() = 0;

  // --- the sink's ---
  [[nodiscard]] virtual bool can_share_tables() const = 0;
  [[nodiscard]] virtual bool processor_marks() const = 0;
  [[nodiscard]] virtual bool large_pages() const = 0;
  [[nodiscard]] virtual bool plain_tables() const = 0;
  virtual void complete() = 0;

  // --- what its tables hold ---
  // How many entries a table of this level has that are the engine's and counted there. A space's root has
  // the kernel's slots without counting them.
  [[nodiscard]] virtual unsigned counted_entries(unsigned level, bool root_of_a_space) const = 0;
  [[nodiscard]] virtual bool entry_empty(Frame table, unsigned index) = 0;
  // What an entry that is not empty and no large leaf refers to: a page, or a table of the level below.
  [[nodiscard]] virtual std::optional<Frame> entry_frame(Frame table, unsigned level, unsigned index) = 0;
  // The first frame of a large leaf.
  [[nodiscard]] virtual std::optional<Frame> large_frame(Frame table, unsigned level, unsigned index) = 0;
  // Whether the table's marks say that the entry may be in use.
  [[nodiscard]] virtual bool marked(const pt::FrameMeta& table, unsigned index) const = 0;
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
  bool is_foreign(unsigned level, unsigned index) const override { return Kind::is_foreign(level, index); }
  u64 exits() const override { return kind.exits(); }
  void check() override { kind.check(); }

  bool can_share_tables() const override { return kind.sink.can_share_tables(); }
  bool processor_marks() const override { return kind.sink.processor_marks(); }
  bool large_pages() const override { return pt::kLargePages<Sink>; }
  bool plain_tables() const override { return kind.sink.plain_tables(); }
  void complete() override { kind.sink.complete(); }

  unsigned counted_entries(unsigned level, bool root_of_a_space) const override {
    return root_of_a_space ? Format::table_index(Format::kUserRange.end, Format::kLevels) + 1
                           : Format::entries(level);
  }
  bool entry_empty(Frame table, unsigned index) override {
    return pt::load_entry<typename Format::Entry>(kind.memory.alias(table), index).empty();
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

}  // namespace nopte::model
