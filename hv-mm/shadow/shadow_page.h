// One page of the shadow: a table that the processor walks, and what is known of it.
//
// A *mirror* page stands for one guest table at one level: each entry is what the guest's entry allows and no
// more, and rights stay where the guest has them (the processor ANDs them along the path as it would along
// the guest's own). A mirror is therefore right for every parent, and (guest frame, level) names it. A
// *split* page stands for the inside of a guest large leaf, one level lower: full rights, as the parent entry
// carries the leaf's; it is named by the frame where the large page begins.
#pragma once

#include "hv-mm/shadow/ref_list.h"
#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

// Names a shadow page; 0 is none.
using PageIndex = u32;

// Names one entry of a shadow page in a RefList. Never 0, below RefPool::kNodeBit.
struct EntryRef {
  PageIndex page;
  unsigned index;

  [[nodiscard]] static constexpr EntryRef of(u32 packed) {
    return {packed >> pt::kIndexBits, packed & (pt::kEntriesPerTable - 1)};
  }
  [[nodiscard]] constexpr u32 packed() const { return page << pt::kIndexBits | index; }
};
inline constexpr u32 kMaxShadowPages = u32{1} << (31 - pt::kIndexBits);

enum class ShadowKind : u8 { kFree, kMirror, kSplit };

// A list that a page may be on, one at a time, beside that of all pages by age.
enum class ShadowList : u8 {
  kNone,
  kOrphans,   // detached, to be emptied
  kUnsync,    // trapped/
  kReleased,  // trapped/
  kRoots,     // told/
};
inline constexpr unsigned kShadowLists = 5;

struct ShadowPage {
  u64 installed[pt::kEntriesPerTable / 64] = {};  // bit n: entry n is present
  RefList parents;                                // entries that link this page
  u32 gfn = 0;                                    // the guest's table, or the first frame of the large page
  PageIndex alias = 0;                            // next mirror of the same guest frame, at another level
  PageIndex older = 0, newer = 0;                 // by age; free pages: newer chains them
  PageIndex before = 0, after = 0;                // on `list`
  PageIndex top = 0;                              // what one way leads here from, while `ways` is
  u32 ways = 0;                                   // ShadowTables' number of added links as it was then
  u64 way = 0;                                    // the address of entry 0 by that way
  u16 live = 0;                                   // installed entries
  u8 level = 0;
  ShadowKind kind = ShadowKind::kFree;
  ShadowList list = ShadowList::kNone;
  bool referenced = false;  // used by a fault since the recycler last looked
  bool detached = false;    // not known by frame any more (ShadowTables::detach)
  bool stale = false;       // a root: what the processor knows of it from before may be shown no more
  u8 clears = 0;            // entries that the guest emptied in a row
};
static_assert(sizeof(ShadowPage) == 128);  // an index is a shift away from it

}  // namespace nopte::hv
