// Mode kvmpv: a guest whose tables loop, lie outside of memory, are mapped writable and freed in use, and
// that says nonsense of them.
#include "pvops/interfaces/kvm_pv.h"

#include "tests/boot/hostile/hostile.h"

namespace {

using namespace hostile;
using namespace abi::kvmpv;

// What the address of the probes goes through, beside the kernel's own entries.
constexpr unsigned kSlot = 1;
constexpr u64 kVa = u64{kSlot} << 39;
constexpr unsigned kSelf = 2;  // a root entry that is the root
constexpr u64 kLoop =
    (u64{kSelf} << 39 | u64{kSelf} << 30 | u64{kSelf} << 21 | u64{kSelf} << 12) + kSelf * sizeof(u64);
constexpr u64 kPattern = 0x1234'5678'9abc'def0;

Page g_root, g_level3, g_level2, g_level1, g_data, g_other, g_buffer;

auto set_ptes(u64 first, u64 count, u64 flags) {
  return call(abi::Interface::kKvmPv, kSetPtes, first, count, flags);
}
auto release_pt(u64 address) { return call(abi::Interface::kKvmPv, kReleasePt, address, 0, 0); }

void refused(std::string_view what, u64 error, pv::HypercallResult result) {
  check(what, ": refused", 1, result.status != Status::kOk);
  check(what, ": error", error, result.value);
}
void accepted(std::string_view what, pv::HypercallResult result) {
  check(what, ": status", 0, static_cast<u64>(result.status));
}

void set(Page& table, unsigned slot, u64 value) {
  table.words[slot] = value;
  g_buffer.words[0] = physical(&table.words[slot]);
  accepted("an entry is told", set_ptes(0, 1, kTlbFlush));
}

void make_tables() {
  for (unsigned slot = 0; slot < 512; ++slot) g_root.words[slot] = hostile_root[slot];
  g_root.words[kSlot] = physical(&g_level3) | kEverything;
  g_root.words[kSelf] = physical(&g_root) | kEverything;
  g_level3.words[0] = physical(&g_level2) | kEverything;
  g_level2.words[0] = physical(&g_level1) | kEverything;
  g_level1.words[0] = physical(&g_data) | kEverything;
  g_data.words[0] = kPattern;
  check("a root that is well made", "", kCompleted, load_cr3(physical(&g_root)));
  check("its page", "", kCompleted, load(kVa));
}

void buffers(u64 memory_bytes) {
  refused("SET_PTES without a buffer", kErrorInvalid, set_ptes(0, 1, 0));
  const u64 good = physical(&g_buffer) | kBufferEnable;
  for (const u64 bad : {memory_bytes | kBufferEnable, ~u64{0}, u64{1} << 63 | kBufferEnable,
                        u64{1} << 52 | kBufferEnable, good | 8, good & ~kBufferEnable}) {
    check("a buffer that is none", "", kGeneralProtection, write_msr(kBufferMsr, bad));
  }
  check("the buffer", "", kCompleted, write_msr(kBufferMsr, good));
}

void arguments(u64 memory_bytes) {
  for (unsigned bit = 3; bit < 12; ++bit)
    refused("a reserved flag", kErrorInvalid, set_ptes(0, 1, 1u << bit));
  refused("an address without INVLPG", kErrorInvalid, set_ptes(0, 1, kTlbFlush | 0x1000));
  refused("too many entries", kErrorInvalid, set_ptes(0, kSlots + 1, 0));
  refused("entries past the end", kErrorInvalid, set_ptes(kSlots - 1, 2, 0));
  refused("a sum that wraps", kErrorInvalid, set_ptes(~u64{0}, 2, 0));
  refused("a table that is not aligned", kErrorInvalid, release_pt(8));
  for (const u64 number : {0, 1, 2, 3, 8, 11, 0x7fff'ffff}) {
    refused("an unknown call", kErrorNoSuchCall,
            call(abi::Interface::kKvmPv, static_cast<u32>(number), 0, 1, 0));
  }
  for (const u64 foreign :
       {memory_bytes, memory_bytes + 0x1000'0000, u64{1} << 51, u64{1} << 63, ~u64{0xfff}}) {
    refused("a foreign table", kErrorFault, release_pt(foreign));
    g_level1.words[0] = 0;  // would be seen if any of the batch were done
    g_buffer.words[0] = physical(&g_level1.words[0]);
    g_buffer.words[1] = foreign;
    refused("a foreign entry", kErrorFault, set_ptes(0, 2, kTlbFlush));
    check("a refused batch", "", kCompleted, load(kVa));
    g_level1.words[0] = physical(&g_data) | kEverything;
  }
  g_buffer.words[1] = physical(&g_level1.words[0]) + 1;
  refused("an entry that is not aligned", kErrorFault, set_ptes(1, 1, 0));
  for (const u64 a : kNastyValues) {
    for (const u64 b : kNastyValues) {
      set_ptes(a, b, 0);
      set_ptes(0, a, b);
    }
    release_pt(a);
  }
}

void frames(u64 memory_bytes) {
  for (const u64 foreign : {memory_bytes, memory_bytes + 0x10'0000, u64{1} << 38}) {
    set(g_level1, 0, foreign | kEverything);
    check("a page that is not there", "", kGeneralProtection, load(kVa));
    set(g_level2, 0, foreign | kEverything);
    check("a table that is not there", "", kGeneralProtection, load(kVa));
    set(g_level2, 0, physical(&g_level1) | kEverything);
    check("a root that is not there", "", kGeneralProtection, load_cr3(foreign));
  }
  set(g_level1, 0, u64{1} << 51 | kEverything);
  check("reserved bits", "", kPageFault, load(kVa));
  check("reserved bits: error code", "", 9, last_error_code());
  set(g_level2, 0, 0x2000 | kLarge | kEverything);
  check("a large leaf that is misplaced", "", kPageFault, load(kVa));
  check("a large leaf that is misplaced: error code", "", 9, last_error_code());
  // All of 1 GiB, of which the guest has less.
  set(g_level3, 0, kLarge | kEverything);
  check("a giant leaf", "", kCompleted, load(kVa));
  check("a giant leaf past the end", "", kGeneralProtection, load(kVa + memory_bytes));
  set(g_level3, 0, physical(&g_level2) | kEverything);
  set(g_level2, 0, physical(&g_level1) | kEverything);
  set(g_level1, 0, physical(&g_data) | kEverything);
}

// The guest's tables are its own memory: it may write them however it likes, and sees what they say.
void tables() {
  set(g_level1, 1, physical(&g_level1) | kEverything);
  check("a table that is mapped writable", "", kCompleted,
        store(kVa + kPageBytes + 2 * sizeof(u64), physical(&g_data) | kEverything));
  check("what was written there", "", kCompleted, load(kVa + 2 * kPageBytes));
  check("a root that maps itself", "", kCompleted, load(kLoop));
  check("what it maps there", "", g_root.words[kSelf], *reinterpret_cast<const u64*>(kLoop));
  for (const Page* table : {&g_level1, &g_level2, &g_level3, &g_root}) {
    accepted("a table in use is released", release_pt(physical(table)));
    check("what it maps", "", kCompleted, load(kVa));
    check("what is there", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  }
}

// Everything is a table, and everything is released.
void all_memory(u64 memory_bytes) {
  for (u64 at = 0; at < memory_bytes; at += kPageBytes) {
    for (u64 slot = 0; slot < 8; ++slot) g_buffer.words[slot] = at + slot * 64 * sizeof(u64);
    accepted("any entry is told", set_ptes(0, 8, kTlbFlushCurrent));
    accepted("any frame is released", release_pt(at));
  }
}

// Entries by chance in tables that loop and share, some of them told.
void by_chance(u64 memory_bytes) {
  static Page* const kTables[] = {&g_level3, &g_level2, &g_level1, &g_other};
  u64 state = 2007;
  const auto pick = [&state](u64 below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % below;
  };
  for (unsigned step = 0; step < 3000; ++step) {
    Page& table = *kTables[pick(4)];
    const u64 slot = pick(8);
    u64 value = pick(4) == 0 ? pick(2 * memory_bytes) : physical(kTables[pick(4)]) | kEverything;
    if (pick(8) == 0) value |= kLarge;
    table.words[slot] = value;
    const u64 index = pick(kSlots);
    g_buffer.words[index] = physical(&table.words[slot]);
    if (pick(4) != 0) accepted("an entry by chance", set_ptes(index, 1, pick(4)));
    load(kVa + (pick(8) << 30 | pick(8) << 21 | pick(8) << 12));
    if (pick(64) == 0) accepted("a table by chance", release_pt(physical(kTables[pick(4)])));
  }
  for (Page* table : kTables) {
    for (u64& word : table->words) word = 0;
    accepted("a table that is done with", release_pt(physical(table)));
  }
}

u64 run(const abi::BootBlock& block) {
  const u64 before = calls_made();
  make_tables();
  buffers(block.memory_bytes);
  arguments(block.memory_bytes);
  frames(block.memory_bytes);
  tables();
  all_memory(block.memory_bytes);
  by_chance(block.memory_bytes);
  // And a good end: a page comes, is used and goes.
  make_tables();
  check("the page's content", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  set(g_level1, 0, 0);
  check("a page that went", "", kPageFault, load(kVa));
  check("the first root", "", kCompleted, load_cr3(physical(hostile_root)));
  accepted("a root that is done with", release_pt(physical(&g_root)));
  check("no buffer any more", "", kCompleted, write_msr(kBufferMsr, 0));
  return calls_made() - before;
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interface{"kvmpv", run};

}  // namespace
