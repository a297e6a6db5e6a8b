#include "native-fallback/tables/entry_sites.h"

#include <cstring>

#include "pvops/base/types.h"

namespace nopte::pt {
namespace {

// Both from where they lie on.
struct Row {
  i32 site;
  i32 elsewhere;
  u32 when;  // Site
};
static_assert(sizeof(Row) == 12);
extern "C" const Row entry_sites_begin[], entry_sites_end[];

// jmp, by a displacement that counts from its end.
struct [[gnu::packed]] Jump {
  u8 code = 0xE9;
  i32 displacement;
};
static_assert(sizeof(Jump) == 5);

}  // namespace

// The processor sees its own stores to code when it next branches (AMD64 APM vol. 2, 7.6.1).
void EntrySites::use(bool translated) {
  for (const Row* row = entry_sites_begin; row != entry_sites_end; ++row) {
    if (row->when == static_cast<u32>(Site::kTranslated) && !translated) continue;
    const u64 site = reinterpret_cast<u64>(&row->site) + static_cast<u64>(i64{row->site});
    const u64 elsewhere = reinterpret_cast<u64>(&row->elsewhere) + static_cast<u64>(i64{row->elsewhere});
    const Jump jump{.displacement = static_cast<i32>(elsewhere - (site + sizeof(Jump)))};
    std::memcpy(reinterpret_cast<void*>(site), &jump, sizeof(jump));
  }
}

}  // namespace nopte::pt
