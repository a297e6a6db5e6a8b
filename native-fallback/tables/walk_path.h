// Walking from a root to one address, and what the way there says.
#pragma once

#include "native-fallback/format/format.h"
#include "native-fallback/frames/phys.h"

namespace nopte::pt {

// The tables from a root down to where a walk ended.
template <PageTableFormat Format>
struct WalkPath {
  using Entry = typename Format::Entry;
  using Word = typename Entry::Word;

  // AND of the words above that have rights, no-execute inverted.
  Word rights = 0;
  // Of the table that the walk ended in: 1, or more where an entry is empty or a large leaf.
  unsigned level = Format::kLevels;
  u64 tables[Format::kLevels + 1];  // frame numbers; from `level` up

  // `read` reads entry `index` of a table.
  template <class Read>
  [[gnu::always_inline]] void walk(Frame root, Gva va, const Read& read) {
    Word all = Entry::kWritable | Entry::kUser | Entry::kNoExecute;
    // Unrolled, and stored only at the end: this is the hottest loop of the engine.
    Frame found[Format::kLevels + 1];
    found[Format::kLevels] = root;
    unsigned reached = Format::kLevels;
#pragma GCC unroll 4
    for (unsigned l = Format::kLevels; l > 1; --l) {
      const Entry entry = read(found[l], Format::table_index(va, l));
      if (!entry.present() || entry.large()) break;
      if (Format::has_rights(l)) all &= entry.word() ^ Entry::kNoExecute;
      found[l - 1] = entry.frame();
      reached = l - 1;
    }
    rights = all;
    level = reached;
#pragma GCC unroll 5
    for (unsigned l = 1; l <= Format::kLevels; ++l) tables[l] = found[l].number();
  }
};

}  // namespace nopte::pt
