// PageTableFormat: what the engine must know of page tables that some processor walks: the shape of the
// tree, the entry, and where the engine's kernel lies in the address space. A sink names its format.
#pragma once

#include <concepts>

#include "native-fallback/format/x86_entry.h"

namespace nopte::pt {

template <class F>
concept PageTableFormat = requires(Gva va, unsigned level, typename F::Entry entry) {
  // Level 1 holds leaves, level kLevels is the root.
  { F::kLevels } -> std::convertible_to<unsigned>;
  // Of a table below the root; the root may have fewer.
  { F::kEntriesPerTable } -> std::convertible_to<unsigned>;
  { F::entries(level) } -> std::same_as<unsigned>;
  // What one entry, a whole table of a level maps; the entry of a table that maps va.
  { F::entry_bytes(level) } -> std::same_as<u64>;
  { F::table_bytes(level) } -> std::same_as<u64>;
  { F::table_index(va, level) } -> std::same_as<unsigned>;

  // An address that the processor translates; one that all roots translate alike.
  { F::canonical(va) } -> std::same_as<bool>;
  { F::kernel_half(va) } -> std::same_as<bool>;
  // User addresses, and the ranges of the kernel half that the engine fills.
  { F::kUserRange } -> std::convertible_to<VaRange>;
  { F::kDirectRange } -> std::convertible_to<VaRange>;
  { F::kWindowRange } -> std::convertible_to<VaRange>;
  { F::kKmemRange } -> std::convertible_to<VaRange>;
  { F::kImageRange } -> std::convertible_to<VaRange>;
};

}  // namespace nopte::pt
