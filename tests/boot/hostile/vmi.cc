// Mode vmi: a guest that says nonsense in calls and in its queue, and what told.h tries.
#include "pvops/interfaces/vmi.h"

#include "tests/boot/hostile/told.h"

namespace {

using namespace hostile;
using namespace abi::vmi;

Queue g_queue;
constexpr u64 kLinear = 0xffff'9000'0000'0000;  // a map need not be mapped
constexpr u64 kPml4Pae = kPagePml4 | kPagePae;

auto vmi(u32 number, u64 a0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
  return call(abi::Interface::kVmi, number, a0, a1, a2, a3, a4);
}
u64 pointer(const u64& entry) { return kLinear + physical(&entry); }
void queue(u64 word) { g_queue.words[g_queue.count++] = word; }

// By the queue or by a call of its own.
constexpr told::Told kTold{
    [](const u64& entry, u64 chance) {
      if (chance % 2 == 0) {
        queue(pointer(entry) | (1 + chance / 2 % 4));
        if (chance % 4 == 0) accepted("a flush", vmi(kFlushTlb, kFlushTlbEntries | kFlushGlobal));
      } else if (chance % 4 == 1) {
        accepted("an entry is told", vmi(kUpdatePxELong, pointer(entry), kPagePt));
      } else {
        accepted("an entry is set", vmi(kSetPxELong, entry, pointer(entry), kPagePd | kCurrentAs | kDefer));
      }
    },
    [](u64 address) { accepted("a table is released", vmi(kReleasePage, address >> kPageShift, kPml4Pae)); }};

void linear_map(u64 memory_bytes) {
  const u64 pages = memory_bytes >> kPageShift;
  refused("an entry without a linear map", kErrorPointer,
          vmi(kUpdatePxELong, pointer(told::level1.words[0]), kPagePt));
  refused("a slot that is none", kErrorFlags, vmi(kSetLinearMapping, kLinearSlots, kLinear, 1, 0));
  for (const u64 bad : {pages + 1, u64{1} << 52, ~u64{0}}) {
    refused("a map of more than there is", kErrorPage, vmi(kSetLinearMapping, 0, kLinear, bad, 0));
    refused("a map of what is not there", kErrorPage, vmi(kSetLinearMapping, 0, kLinear, 1, bad));
  }
  for (const u64 bad : {u64{1} << 63, kLinear + 8, u64{0x7fff'ffff'f000}, ~u64{0xfff}}) {
    refused("a map at no address", kErrorPointer, vmi(kSetLinearMapping, 0, bad, 2, 0));
  }
  for (const u64 bad : {memory_bytes, u64{1} << 52, ~u64{0xfff}}) {
    refused("a queue that is not there", kErrorPage, vmi(kSetQueue, bad));
  }
  refused("a queue that is not aligned", kErrorPointer, vmi(kSetQueue, 8));
  accepted("the linear map", vmi(kSetLinearMapping, 0, kLinear, pages, 0));
  accepted("the queue", vmi(kSetQueue, physical(&g_queue)));
}

void arguments(u64 memory_bytes) {
  const u64 pages = memory_bytes >> kPageShift;
  u64& entry = told::level1.words[0];
  const u64 good = entry;
  entry = 0;  // would be seen if any of these were done
  for (const u32 number : {0u, 1u, 38u, 40u, 42u, 43u, 49u, 74u, 0x1001u, ~0u}) {
    refused("an unknown call", kErrorNoSuchCall, vmi(number, pointer(entry), kPagePt));
  }
  for (const u64 bad : {u64{0}, kPageTypes, kPagePt | kPagePd, kPagePt | 0x40, kPagePt | 0x800,
                        kPagePt | kDefer, kPagePt | 0x1000}) {
    refused("bad flags", kErrorFlags, vmi(kUpdatePxELong, pointer(entry), bad));
    refused("bad flags of a set", kErrorFlags, vmi(kSetPxELong, 0, pointer(entry), bad));
  }
  refused("no address", kErrorPointer,
          vmi(kUpdatePxELong, pointer(entry), kPagePt | kCurrentAs | u64{1} << 63));
  for (const u64 bad : {physical(&entry), pointer(entry) + 4, kLinear - 8, kLinear + memory_bytes, ~u64{7}}) {
    refused("a bad pointer", kErrorPointer, vmi(kUpdatePxELong, bad, kPagePt));
    refused("a bad pointer of a set", kErrorPointer, vmi(kSetPxELong, 0, bad, kPagePt));
  }
  for (const u32 number : {kAllocatePage, kReleasePage}) {
    for (const u64 bad : {u64{0}, kPagePt, kPagePae, kPagePae | kPageTypes, kPml4Pae | 0x80}) {
      refused("a page of no type", kErrorFlags, vmi(number, physical(&entry) >> kPageShift, bad));
    }
    for (const u64 bad : {pages, u64{1} << 51, ~u64{0}}) {
      refused("a page that is not there", kErrorPage, vmi(number, bad, kPml4Pae));
    }
  }
  const u64 root = physical(&told::root) >> kPageShift;
  refused("a clone of a leaf table", kErrorFlags,
          vmi(kAllocatePage, root, kPagePt | kPagePae | kPageClone, root, 0, 1));
  refused("a clone of too much", kErrorFlags, vmi(kAllocatePage, root, kPml4Pae | kPageClone, root, 511, 2));
  refused("a clone of what is not there", kErrorPage,
          vmi(kAllocatePage, root, kPml4Pae | kPageClone, pages, 0, 1));
  refused("a root that is not there", kErrorPage, vmi(kSetCr3, memory_bytes));
  refused("reserved bits of a root", kErrorFlags, vmi(kSetCr3, physical(&told::root) | 1));
  refused("a flush of nothing", kErrorFlags, vmi(kFlushTlb, 0));
  refused("a flush of more", kErrorFlags, vmi(kFlushTlb, 4));
  refused("a mode that is none", kErrorFlags, vmi(kSetLazyMode, 2));
  refused("an invalidation of no address", kErrorPointer, vmi(kInvalPage, u64{1} << 63));
  check("the root that is in use", "", physical(&told::root), vmi(kGetCr3, 0).value);
  check("what was refused", "", kCompleted, load(told::kVa));
  entry = good;
}

void queues(u64 memory_bytes) {
  u64& entry = told::level1.words[0];
  const u64 good = entry;
  entry = 0;
  const u64 bad_words[] = {
      0,
      7,
      pointer(entry),
      physical(&entry) | 1,
      (kLinear + memory_bytes) | 1,
      (memory_bytes >> kPageShift) << kWordPageShift | kPml4Pae << kWordFlagsShift | kWordRelease,
      1 << kWordPageShift | kWordAllocate,
      ~u64{0}};
  for (const u64 bad : bad_words) {
    queue(pointer(entry) | 1);
    queue(bad);
    refused("a bad word", kErrorQueue, vmi(kFlushTlb, kFlushTlbEntries));
    check("a bad queue", "", 0, g_queue.count);
    check("what was queued with it", "", kCompleted, load(told::kVa));
  }
  for (const u64 bad : {kQueueWords + 1, u64{1} << 32, ~u64{0}}) {
    g_queue.count = bad;
    refused("a queue that is too long", kErrorQueue, vmi(kInvalPage, told::kVa));
  }
  // A fault finds the queue as well: a bad one is dropped, a good one is done.
  queue(7);
  check("no page", "", kPageFault, load(told::kVa + 100 * kPageBytes));
  check("a bad queue at a fault", "", 0, g_queue.count);
  queue(pointer(entry) | 1);
  check("no page again", "", kPageFault, load(told::kVa + 100 * kPageBytes));
  check("a good queue at a fault", "", kPageFault, load(told::kVa));
  entry = good;
  check("the page", "", kCompleted, load(told::kVa));
}

void nonsense() {
  for (const u64 a : kNastyValues) {
    for (const u64 b : kNastyValues) {
      for (const u32 number : {kUpdatePxELong, kReleasePage, kInvalPage, kFlushTlb, kSetLazyMode, kGetCr3}) {
        vmi(number, a, b);
      }
      queue(a);
      queue(b);
      vmi(kSetLazyMode, kLazyNone);
    }
  }
}

// Everything is a table, and everything is released, cloned and released again.
void all_memory(u64 memory_bytes) {
  const u64 root = physical(&told::root) >> kPageShift;
  for (u64 page = 0; page < memory_bytes >> kPageShift; ++page) {
    for (u64 slot = 0; slot < 8; ++slot)
      queue((kLinear + pages_to_bytes(page) + slot * 64 * sizeof(u64)) | 1);
    queue(page << kWordPageShift | (kPml4Pae | kPageClone) << kWordFlagsShift | kWordAllocate);
    queue(root << kWordCloneShift | 512);
    queue(page << kWordPageShift | kPml4Pae << kWordFlagsShift | kWordRelease);
    accepted("any frame is a root", vmi(kFlushTlb, kFlushTlbEntries));
  }
}

// A root by calls: it shows at once what the one in use shows of the kernel.
void roots() {
  for (unsigned slot = 0; slot < 512; ++slot) told::other.words[slot] = hostile_root[slot];
  const u64 other = physical(&told::other);
  accepted("a new root", vmi(kAllocatePage, other >> kPageShift, kPml4Pae | kPageClone | kPageZeroed,
                             physical(&told::root) >> kPageShift, 256, 256));
  accepted("a root is loaded", vmi(kSetCr3, other));
  check("the root", "", other, vmi(kGetCr3, 0).value);
  check("what it does not map", "", kPageFault, load(told::kVa));
  accepted("the other root is loaded", vmi(kSetCr3, physical(&told::root)));
  check("what it maps", "", kCompleted, load(told::kVa));
  accepted("a root is released", vmi(kReleasePage, other >> kPageShift, kPml4Pae));
}

u64 run(const abi::BootBlock& block) {
  const u64 before = calls_made();
  told::make_tables();
  linear_map(block.memory_bytes);
  arguments(block.memory_bytes);
  queues(block.memory_bytes);
  nonsense();
  roots();
  told::frames(kTold, block.memory_bytes);
  told::tables(kTold);
  all_memory(block.memory_bytes);
  told::by_chance(kTold, block.memory_bytes);
  told::good_end(kTold);
  accepted("no queue any more", vmi(kSetQueue, 0));
  return calls_made() - before;
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interface{"vmi", run};

}  // namespace
