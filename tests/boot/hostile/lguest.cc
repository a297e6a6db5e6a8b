// Mode lguest: a guest that says nonsense in calls, and what told.h tries. What it says in the ring it says
// well: nonsense there is the end of it, which the scenarios beginning with "ring-" are about.
#include "pvops/interfaces/lguest.h"

#include "tests/boot/hostile/told.h"

namespace {

using namespace hostile;
using namespace abi::lguest;
using told::kSlot, told::kVa, told::kPattern;

Ring g_ring;
u64 g_next = 0;
u64 g_memory_bytes = 0;

auto lguest(u32 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0) {
  return call(abi::Interface::kLguest, number, a0, a1, a2);
}

// The call waits in the ring.
void put(u64 number, u64 a0, u64 a1 = 0, u64 a2 = 0) {
  g_ring.calls[g_next] = {number, {a0, a1, a2}};
  reinterpret_cast<volatile u8&>(g_ring.status[g_next]) = kSlotFilled;
  g_next = (g_next + 1) % kRingSlots;
}
void change(u64 chance, u32 number, u64 a1, u64 a2 = 0) {
  const u64 root = physical(&told::root);
  if (chance % 2 == 0) {
    accepted("a change is told", lguest(number, root, a1, a2));
  } else {
    put(number, root, a1, a2);
    accepted("the ring is read", lguest(kFlushAsync));
  }
}

// As the entry would be named if the tables were as they were made.
void tell(const u64& entry, u64 chance) {
  const u64 slot = physical(&entry) % kPageBytes / sizeof(u64);
  const auto in = [&entry](const Page& table) { return &entry >= table.words && &entry < table.words + 512; };
  if (in(told::level3)) return change(chance, kSetPmd, (kVa + (slot << 30)) | 3);
  if (in(told::level2)) return change(chance, kSetPmd, (kVa + (slot << 21)) | 2);
  if (!in(told::level1)) return change(chance, kSetPgd, kSlot);
  const u64 va = kVa + (slot << 12);
  if ((entry & kPresent) && (entry & 0x000f'ffff'ffff'f000) >= g_memory_bytes) {
    refused("a foreign frame", kErrorFault, lguest(kSetPte, physical(&told::root), va, entry));
    change(chance, kSetPte, va);
  } else {
    change(chance, kSetPte, va, entry);
  }
}
constexpr told::Told kTold{tell,
                           [](u64) { accepted("a table has gone: all is forgotten", lguest(kFlushTlb, 1)); }};

void rings(u64 memory_bytes) {
  for (u8& status : g_ring.status) status = kSlotFree;
  accepted("a call without a ring", lguest(kFlushAsync));
  refused("a ring that is not aligned", kErrorInvalid, lguest(kInit, physical(&g_ring) + 8));
  for (const u64 bad : {memory_bytes, u64{1} << 51, u64{1} << 63, ~u64{0xfff}}) {
    refused("a ring that is not there", kErrorFault, lguest(kInit, bad));
  }
  accepted("the ring", lguest(kInit, physical(&g_ring)));
  refused("a second ring", kErrorExists, lguest(kInit, physical(&told::other)));
}

void arguments(u64 memory_bytes) {
  const u64 root = physical(&told::root);
  told::level1.words[0] = 0;  // would be seen if anything were done
  for (const u64 foreign : {memory_bytes, u64{1} << 51, u64{1} << 63, ~u64{0xfff}}) {
    refused("a foreign root to run on", kErrorFault, lguest(kNewPgtable, foreign));
    refused("a leaf of a foreign root", kErrorFault, lguest(kSetPte, foreign, kVa, 0));
    refused("a table of a foreign root", kErrorFault, lguest(kSetPmd, foreign, kVa | 2));
    refused("an entry of a foreign root", kErrorFault, lguest(kSetPgd, foreign, kSlot));
  }
  for (const u64 foreign : {memory_bytes, memory_bytes + 0x10'0000, u64{1} << 38, u64{1} << 51}) {
    refused("a foreign frame", kErrorFault, lguest(kSetPte, root, kVa, foreign | kEverything));
  }
  refused("a root that is not aligned", kErrorInvalid, lguest(kNewPgtable, root + 8));
  refused("a leaf of a root that is not aligned", kErrorInvalid, lguest(kSetPte, root + 8, kVa, 0));
  refused("a leaf's address that is not aligned", kErrorInvalid, lguest(kSetPte, root, kVa + 8, 0));
  refused("an address that is none", kErrorInvalid, lguest(kSetPte, root, u64{1} << 47, 0));
  refused("a table's address that is none", kErrorInvalid, lguest(kSetPmd, root, u64{1} << 47 | 2));
  for (const u64 level : {0, 1, 4, 0x802}) {
    refused("a level that is none", kErrorInvalid, lguest(kSetPmd, root, kVa | level));
  }
  refused("an index that is none", kErrorInvalid, lguest(kSetPgd, root, 512));
  for (const u32 number : {2u, 3u, 6u, 12u, 16u, 17u, 0x7fff'ffffu}) {
    refused("an unknown call", kErrorNoSuchCall, lguest(number, root, kVa));
  }
  check("after what was refused", "", kCompleted, load(kVa));
  told::level1.words[0] = physical(&told::data) | kEverything;
  for (const u64 a : kNastyValues) {
    for (const u64 b : kNastyValues) {
      for (const u32 number : {kSetPte, kSetPmd, kSetPgd}) {
        lguest(number, a, b, a);
        lguest(number, root, a, b);
      }
    }
    lguest(kFlushTlb, a);
  }
  accepted("all of it is forgotten", lguest(kFlushTlb, 1));
}

// The guest is believed: what it says of a leaf is shown, and it alone is misled.
void lies() {
  accepted("a leaf that is not so", lguest(kSetPte, physical(&told::root), kVa, 0));
  check("what its table says", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  told::other.words[0] = ~kPattern;
  accepted("another leaf that is not so",
           lguest(kSetPte, physical(&told::root), kVa, physical(&told::other) | kEverything));
  check("what was said", "", ~kPattern, *reinterpret_cast<const u64*>(kVa));
  accepted("it is forgotten", lguest(kFlushTlb, 0));
  check("what the table says", "", kPattern, *reinterpret_cast<const u64*>(kVa));
  told::other.words[0] = 0;
}

// Everything is a root, and every address of it goes.
void all_memory(u64 memory_bytes) {
  for (u64 at = 0; at < memory_bytes; at += kPageBytes) {
    for (unsigned level = 1; level <= 4; ++level) {
      if (level == 1) put(kSetPte, at, kVa, physical(&told::data) | kEverything);
      if (level == 2 || level == 3) put(kSetPmd, at, kVa | level);
      if (level == 4) put(kSetPgd, at, kSlot);
    }
    accepted("any root is told of", lguest(kFlushAsync));
    if (at % 0x10'0000 != 0) continue;
    accepted("any root is run on", lguest(kNewPgtable, physical(&told::root)));
  }
}

u64 run(const abi::BootBlock& block) {
  const u64 before = calls_made();
  g_memory_bytes = block.memory_bytes;
  rings(block.memory_bytes);
  told::make_tables();
  accepted("the root, by a call", lguest(kNewPgtable, physical(&told::root)));
  arguments(block.memory_bytes);
  told::frames(kTold, block.memory_bytes);
  told::tables(kTold);
  lies();
  all_memory(block.memory_bytes);
  told::by_chance(kTold, block.memory_bytes);
  told::good_end(kTold);
  return calls_made() - before;
}

void die(std::string_view scenario, const abi::BootBlock& block) {
  if (!scenario.starts_with("ring-")) return;
  rings(block.memory_bytes);
  if (scenario == "ring-call") put(17, 0);
  if (scenario == "ring-frame") put(kSetPte, physical(&told::root), kVa, block.memory_bytes | kEverything);
  if (scenario == "ring-argument") put(kSetPgd, physical(&told::root), 512);
  if (scenario == "ring-fault") {  // seen at a fault, without a call
    put(17, 0);
    load(kVa);
  }
  lguest(kFlushAsync);
  print("hostile: alive\n");
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interface{"lguest", run, die};

}  // namespace
