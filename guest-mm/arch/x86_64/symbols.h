// Names of the image's functions, for backtraces. The table is written into the linked image by
// guest-mm/arch/x86_64/embed_symbols.py; an image without it prints bare addresses.
#pragma once

#include <optional>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest {

struct SymbolPlace {
  std::string_view name;
  u64 offset;  // bytes from its first instruction
};

// The function that contains `address`.
std::optional<SymbolPlace> find_symbol(u64 address);

}  // namespace nopte::guest
