#include "guest-mm/arch/x86_64/symbols.h"

namespace nopte::guest {
namespace {

constexpr u64 kImageBase = 0xffff'ffff'8000'0000;
constexpr u64 kTableBytes = 192 * 1024;

// count rows in ascending order of address, then the names.
struct SymbolTable {
  struct Row {
    u32 address;  // from kImageBase
    u32 bytes;
    u32 name_offset;  // from the table's first byte
    u32 name_bytes;
  };
  u32 magic;  // kMagic once the table is filled
  u32 count;
  union {
    Row rows[1];
    u8 bytes[kTableBytes - 8];
  };
};
constexpr u32 kMagic = 0x626d7973;  // "symb"

// Volatile: its contents are not the compiler's to know.
[[gnu::section(".symbols"), gnu::used]] const volatile SymbolTable g_symbols{};

}  // namespace

std::optional<SymbolPlace> find_symbol(u64 address) {
  const auto* table = const_cast<const SymbolTable*>(&g_symbols);
  asm volatile("" : "+r"(table));
  if (table->magic != kMagic || address < kImageBase) {
    return {};
  }
  const u64 target = address - kImageBase;
  u32 low = 0, high = table->count;
  while (low < high) {
    const u32 middle = low + (high - low) / 2;
    if (table->rows[middle].address <= target) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == 0) {
    return {};
  }
  const auto& row = table->rows[low - 1];
  if (target - row.address >= row.bytes) {
    return {};
  }
  return SymbolPlace{{reinterpret_cast<const char*>(table) + row.name_offset, row.name_bytes},
                     target - row.address};
}

}  // namespace nopte::guest
