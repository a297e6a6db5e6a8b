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
  [[nodiscard]] virtual u64 exits() const = 0;
  virtual void check() = 0;

  // --- the sink's ---
  [[nodiscard]] virtual bool can_share_tables() const = 0;
  [[nodiscard]] virtual bool processor_marks() const = 0;
  [[nodiscard]] virtual bool large_pages() const = 0;
  virtual void complete() = 0;

  // --- what its tables hold ---
  // The indices of a table's entries that are not empty, of those that are the engine's and counted there. A
  // space's root has the kernel's slots without counting them.
  virtual void for_each_entry(Frame table, unsigned level, bool root_of_a_space,
                              FunctionRef<void(unsigned)> visit) = 0;
  // What an entry that is not empty and no large leaf refers to: a page, or a table of the level below.
  [[nodiscard]] virtual std::optional<Frame> entry_frame(Frame table, unsigned level, unsigned index) = 0;
  // The first frame of a large leaf.
  [[nodiscard]] virtual std::optional<Frame> large_frame(Frame table, unsigned level, unsigned index) = 0;
  // Whether the table's marks say that the entry may be in use.
  [[nodiscard]] virtual bool marked(const pt::FrameMeta& table, unsigned index) const = 0;
};

}  // namespace nopte::model
