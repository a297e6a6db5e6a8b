// Processors' page walks, each written from its manual in raw words, so that it checks the formats of
// native-fallback/format instead of repeating them: nothing of theirs is used here. A reserved bit that is
// set in a present entry stops the test. Sources: Intel SDM vol. 3A, 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level
// and 5-level), 4.6 (access rights), 4.8 (accessed and dirty); AMD64 APM vol. 2, 5.2 to 5.6.
#pragma once

#include <functional>

#include "tests/model/machine.h"

namespace nopte::model {

// What the walks share: where a table's bytes are, and rights gathered on the way down.
class TableWalker : public Walker {
 public:
  // Turns the frame number in an entry into one of `memory`'s.
  using Decode = std::function<Frame(Frame)>;
  TableWalker(const Memory& memory, Decode decode) : memory_(memory), decode_(std::move(decode)) {}

  Root load(PhysAddr root) override { return {root, {}}; }
  std::optional<Walk> walk(const Root& root, Gva va, Access access, Privilege privilege, Ways& ways) override;
  std::optional<Walk> look(const Root& root, Gva va, Ways& ways) override;
  [[nodiscard]] std::optional<Frame> table_frame(u64 table) const override {
    return decode_(Frame(table >> 12));
  }

 protected:
  // A walk that found a leaf, and which one it is.
  struct Found {
    Walk walk;
    u64 at;
    u64 leaf;
  };
  virtual std::optional<Found> find(const Root& root, Gva va, Ways& ways) = 0;
  // Bytes of an entry.
  static constexpr unsigned kLongEntry = 8, kShortEntry = 4;
  [[nodiscard]] virtual unsigned entry_bytes() const { return kLongEntry; }

  // Where a table lies.
  [[nodiscard]] virtual u8* bytes(u64 physical) const {
    return memory_.alias(decode_(Frame(physical >> 12))) + (physical & 0xfff);
  }
  template <class Word>
  [[nodiscard]] Word load_word(u64 physical) const {
    Word word;
    std::memcpy(&word, bytes(physical), sizeof(Word));
    return word;
  }
  template <class Word>
  void store_word(u64 physical, Word word) const {
    std::memcpy(bytes(physical), &word, sizeof(Word));
  }
  // A leaf that maps va to `physical`: the end of a walk.
  [[nodiscard]] Found finish(Walk walk, u64 physical, u64 at, u64 leaf) const;
  // Takes away what this entry does not give.
  static void descend(Walk& walk, u64 word, bool no_execute);

  const Memory& memory_;
  Decode decode_;
};

// 4.5: four or five levels of 512 entries; leaves of 4 KiB, 2 MiB, 1 GiB.
class LongModeWalker : public TableWalker {
 public:
  LongModeWalker(const Memory& memory, Decode decode, unsigned levels = 4)
      : TableWalker(memory, std::move(decode)), levels_(levels) {}
  [[nodiscard]] unsigned leaf_table_shift() const override { return 21; }

 protected:
  std::optional<Found> find(const Root& root, Gva va, Ways& ways) override;

 private:
  unsigned levels_;
};

// 4.4: four registers, loaded with CR3, then two levels of 512 entries; leaves of 4 KiB and 2 MiB.
class PaeWalker : public TableWalker {
 public:
  using TableWalker::TableWalker;
  Root load(PhysAddr root) override;
  [[nodiscard]] unsigned leaf_table_shift() const override { return 21; }

 protected:
  std::optional<Found> find(const Root& root, Gva va, Ways& ways) override;
};

// 4.3: two levels of 1,024 entries; leaves of 4 KiB and 4 MiB; nothing forbids execution.
class TwoLevelWalker : public TableWalker {
 public:
  using TableWalker::TableWalker;
  [[nodiscard]] unsigned leaf_table_shift() const override { return 22; }

 protected:
  std::optional<Found> find(const Root& root, Gva va, Ways& ways) override;
  [[nodiscard]] unsigned entry_bytes() const override { return kShortEntry; }
};

}  // namespace nopte::model
