// PageTableFormat: what the engine must know of page tables that some processor walks: the shape of the
// tree, the entry, and where the engine's kernel lies in the address space. A sink names its format.
#pragma once

#include <concepts>

#include "native-fallback/format/x86_entry.h"
#include "pvops/base/addr.h"

namespace nopte::pt {

template <class F>
concept PageTableFormat =
    requires(Gva va, unsigned level, Frame frame, Privilege privilege, Perm perm, typename F::Entry entry) {
      // Level 1 holds 4 KiB leaves, level kLevels is the root, leaves lie at kLargestLeaf and below.
      { F::kLevels } -> std::convertible_to<unsigned>;
      { F::kLargestLeaf } -> std::convertible_to<unsigned>;
      // Of a table below the root; the root may have fewer.
      { F::kEntriesPerTable } -> std::convertible_to<unsigned>;
      { F::entries(level) } -> std::same_as<unsigned>;
      // What one entry, a whole table of a level maps; the entry of a table that maps va.
      { F::entry_bytes(level) } -> std::same_as<u64>;
      { F::table_bytes(level) } -> std::same_as<u64>;
      { F::table_index(va, level) } -> std::same_as<unsigned>;
      // The processor reads the root only when it is loaded: its slots are filled before and never change.
      { F::kFixedRoot } -> std::convertible_to<bool>;

      // Every frame below it can be page, table and root.
      { F::kPoolLimit } -> std::convertible_to<Frame>;

      // An entry of `level` for a table of the level below; whether it can take rights away.
      { F::table_entry(frame, privilege, level) } -> std::same_as<typename F::Entry>;
      { F::has_rights(level) } -> std::same_as<bool>;
      // The first frame of a leaf of a level; the same rights and marks around other frames, as such a leaf.
      { F::leaf_frame(entry, level) } -> std::same_as<Frame>;
      { F::leaf_at(entry, frame, level) } -> std::same_as<typename F::Entry>;
      // The rights that an entry made with `perm` gives: what the format cannot refuse is added.
      { F::granted(perm) } -> std::same_as<Perm>;

      // An address that the processor translates; one that all roots translate alike.
      { F::canonical(va) } -> std::same_as<bool>;
      { F::kernel_half(va) } -> std::same_as<bool>;
      // User addresses, and the ranges of the kernel half that the engine fills, ascending.
      { F::kUserRange } -> std::convertible_to<VaRange>;
      { F::kDirectRange } -> std::convertible_to<VaRange>;
      { F::kWindowRange } -> std::convertible_to<VaRange>;
      { F::kKmemRange } -> std::convertible_to<VaRange>;
      { F::kImageRange } -> std::convertible_to<VaRange>;
    };

}  // namespace nopte::pt
