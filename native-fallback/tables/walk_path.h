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

  // AND of the words above that have rights. Not writable: a table that the walk came through may have other
  // parents (unshare.h).
  Word rights = 0;
  // OR of them: what one refuses.
  Word refused = 0;
  // Of the table that the walk ended in: 1, or more where an entry is empty or a large leaf.
  unsigned level = Format::kLevels;
  u64 tables[Format::kLevels + 1];  // frame numbers; from `level` up

  struct Untranslated {
    Frame operator()(Entry entry) const { return entry.frame(); }
  };
  // `read` reads entry `index` of a table, `below` says which table an entry leads to.
  template <class Read, class Below = Untranslated>
  [[gnu::always_inline]] void walk(Frame root, Gva va, const Read& read, const Below& below = Below()) {
    Word all = ~Word{0};
    Word any = 0;
    // Unrolled, and stored only at the end: this is the hottest loop of the engine.
    Frame found[Format::kLevels + 1];
    found[Format::kLevels] = root;
    unsigned reached = Format::kLevels;
#pragma GCC unroll 4
    for (unsigned l = Format::kLevels; l > 1; --l) {
      const Entry entry = read(found[l], Format::table_index(va, l));
      if (!entry.present() || entry.large()) break;
      if (Format::has_rights(l)) {
        all &= entry.word();
        any |= entry.word();
      }
      found[l - 1] = below(entry);
      reached = l - 1;
    }
    rights = all;
    refused = any;
    level = reached;
#pragma GCC unroll 5
    for (unsigned l = 1; l <= Format::kLevels; ++l) tables[l] = found[l].number();
  }
};

}  // namespace nopte::pt
