// Modes shadow and nested: stores that lie half in a page table land, or fault, as on the processor. And, of
// mode shadow: tables enough that the hypervisor has none left when it needs many at once.
#include "tests/boot/hostile/hostile.h"

namespace {

using namespace hostile;

constexpr u64 kBase = u64{1} << 39, kGiant = 1 << 30, kHuge = 2 << 20;
constexpr unsigned kMiddle = 256;  // of a table, away from where its neighbours meet it

Page root, level3, level2, level1, views2, views1, filler2, data;

void start_root() {
  for (unsigned slot = 0; slot < 512; ++slot) root.words[slot] = hostile_root[slot];
  root.words[1] = physical(&level3) | kEverything;
  level3.words[2] = physical(&views2) | kEverything;
  views2.words[0] = physical(&views1) | kEverything;
}
constexpr u64 kView = kBase + 2 * kGiant;

// --- stores across the edge of a table ---

Page pages[2];  // level3's entries 0 and 1 use them as tables
constexpr u64 kEdge = kView + kPageBytes;

// What the attempts below work on: they may come back by a trap.
struct {
  u64 at, value;
} attempt;

struct Attempt {
  std::string_view what;
  void (*instruction)();
  u64 bytes;
  u64 (*result)(u64 before, u64 value);
};

#define HOSTILE_ATTEMPT(text, bytes, result)                                                         \
  Attempt {                                                                                          \
    text,                                                                                            \
        [] {                                                                                         \
          u64 at = attempt.at, value = attempt.value;                                                \
          asm volatile(text : "+D"(at), "+a"(value) : : "memory", "cc");                             \
        },                                                                                           \
        bytes, []([[maybe_unused]] u64 before, [[maybe_unused]] u64 value) -> u64 { return result; } \
  }

constexpr Attempt kAttempts[] = {
    HOSTILE_ATTEMPT("mov %%rax, (%%rdi)", 8, value),
    HOSTILE_ATTEMPT("mov %%eax, (%%rdi)", 4, value),
    HOSTILE_ATTEMPT("mov %%ax, (%%rdi)", 2, value),
    HOSTILE_ATTEMPT("movnti %%rax, (%%rdi)", 8, value),
    HOSTILE_ATTEMPT("stosq", 8, value),
    HOSTILE_ATTEMPT("stosl", 4, value),
    HOSTILE_ATTEMPT("add %%rax, (%%rdi)", 8, before + value),
    HOSTILE_ATTEMPT("xor %%eax, (%%rdi)", 4, before ^ value),
    HOSTILE_ATTEMPT("orq $0x20, (%%rdi)", 8, before | 0x20),
    HOSTILE_ATTEMPT("xchg %%rax, (%%rdi)", 8, value),
    HOSTILE_ATTEMPT("lock xadd %%rax, (%%rdi)", 8, before + value),
    HOSTILE_ATTEMPT("lock btsq $62, (%%rdi)", 8, before | u64{1} << 62),
};

// Of the view.
u64 read_at(u64 va, u64 bytes) {
  u64 value = 0;
  __builtin_memcpy(&value, reinterpret_cast<const void*>(va), bytes);
  return value;
}

constexpr u64 kPattern = 0x1111'1111'1111'1111;

// What the view shows first lies behind in memory: a store that goes on into the next frame goes wrong.
Page& shown(unsigned n) { return pages[1 - n]; }

// The pages as they were made, those of `tables` (bit n: the nth that is shown) in use as tables.
void prepare(unsigned tables, unsigned read_only) {
  for (unsigned n = 0; n < 2; ++n) {
    views1.words[n] = (physical(&shown(n)) | kEverything) & ~(read_only >> n & 1 ? kWritable : 0);
    level3.words[n] = physical(&shown(n)) | kEverything;
    for (const unsigned slot : {0, 1, 510, 511}) shown(n).words[slot] = kPattern;
    shown(n).words[kMiddle] = physical(&level1) | kEverything;
  }
  cpu::write_cr3(physical(&root));
  for (unsigned n = 0; n < 2; ++n) {
    if (tables >> n & 1)
      check("the table is used", "", kCompleted, load(kBase + n * kGiant + kMiddle * kHuge));
  }
}

void across_the_edge(const Attempt& a, u64 before, unsigned read_only) {
  const u64 at = kEdge - before, old = read_at(at, a.bytes), value = 0x2222'2220'4444'4440;
  const u64 mask = a.bytes == 8 ? ~u64{0} : (u64{1} << 8 * a.bytes) - 1;
  attempt = {at, value};
  check(a.what, ": how it ends", read_only ? kPageFault : kCompleted,
        run_probe(reinterpret_cast<const void*>(a.instruction)));
  if (read_only) check(a.what, ": error code", 3, last_error_code());
  check(a.what, ": what is there", read_only ? old : a.result(old, value) & mask, read_at(at, a.bytes));
  check(a.what, ": what is before", kPattern, read_at(at - 8, 8));
  check(a.what, ": what is behind", kPattern, read_at(at + a.bytes, 8));
}

void across_the_edge() {
  for (const Attempt& a : kAttempts) {
    for (u64 before = 1; before < a.bytes; ++before) {
      for (unsigned tables = 1; tables < 4; ++tables) {
        for (unsigned read_only = 0; read_only < 3; ++read_only) {
          prepare(tables, read_only);
          across_the_edge(a, before, read_only);
        }
      }
    }
  }
}

u64 run(const abi::BootBlock&) {
  start_root();
  level1.words[0] = physical(&data) | kEverything;
  across_the_edge();
  cpu::write_cr3(physical(hostile_root));
  return 0;
}

// --- a full pool ---

// Leaf tables, each the only one in 2 MiB of memory, are out of sync, and their memory is mapped by writable
// 2 MiB leaves. One access then has them all protected again, each of which takes a table where the
// hypervisor has none.
void full_pool(u64 memory_bytes, u64 last_access) {
  constexpr u64 kFirst = 4, kTables = 27;
  // Shadow tables are 2% of memory. All but so many are in use, with those that the hypervisor keeps free.
  constexpr u64 kFramesPerTable = 50, kOthers = 61;
  const u64 fillers = memory_bytes / kPageBytes / kFramesPerTable - kOthers;
  const auto leaf_table = [](u64 n) { return (kFirst + n) * kHuge + 100 * kPageBytes; };
  const auto filler = [](u64 n) { return 3 * kHuge + n * kPageBytes; };
  start_root();
  root.words[2] = root.words[1];
  level3.words[0] = physical(&level2) | kEverything;
  level3.words[1] = physical(&pages[0]) | kEverything;
  level3.words[3] = kEverything | kLarge;
  level3.words[4] = physical(&filler2) | kEverything;
  pages[0].words[0] = physical(&level1) | kEverything;
  level1.words[0] = physical(&data) | kEverything;
  for (u64 n = 0; n < kTables; ++n) level2.words[n] = views1.words[n] = leaf_table(n) | kEverything;
  for (u64 n = 0; n < fillers; ++n) filler2.words[n] = views1.words[kTables + n] = filler(n) | kEverything;
  cpu::write_cr3(physical(&root));
  load(physical(&data));
  for (u64 n = 0; n < kTables + fillers; ++n) store(kView + n * kPageBytes, physical(&data) | kEverything);
  for (u64 n = 0; n < kTables; ++n) load(kBase + n * kHuge);                                // used as tables
  for (u64 n = 0; n < kTables; ++n) store(kView + n * kPageBytes + 8, 0);                   // stored to
  for (u64 n = 0; n < kTables; ++n) store((kFirst + n) * kHuge + 300 * kPageBytes, n + 1);  // by a 2 MiB leaf
  for (u64 n = 0; n < fillers; ++n) load(kBase + 4 * kGiant + n * kHuge);
  check("the access", "", kCompleted, load(last_access));
  for (u64 n = 0; n < kTables; ++n) {
    check("what was mapped by 2 MiB", "", n + 1,
          *reinterpret_cast<const u64*>((kFirst + n) * kHuge + 300 * kPageBytes));
  }
  if (failures() == 0) print("hostile: all as documented\n");
  power_off(failures() == 0 ? 0 : 1);
}

void scenario(std::string_view name, const abi::BootBlock& block) {
  if (name == "second-link") full_pool(block.memory_bytes, 2 * kBase + kGiant);
  if (name == "giant-leaf") full_pool(block.memory_bytes, 2 * kBase + 3 * kGiant + 2 * kHuge);
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interfaces[] = {
    {"shadow", run, scenario, Interface::Calls::kNone},
    {"nested", run, nullptr, Interface::Calls::kNone},
};

}  // namespace
