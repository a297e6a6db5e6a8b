// Mode xen: a guest that wants to write its tables, uses frames as what they are not, frees what is in use,
// names memory that is not its own, and passes nonsense for lists. Then it behaves for once.
#include "tests/boot/hostile/xen.h"

#include "pvops/interfaces/xen.h"

namespace {

using namespace hostile;
using namespace abi::xen;

constexpr u64 kFrameShift = kPageShift;
constexpr u64 kSelf = kDomainSelf;

const u64* g_machine_list;
u64 g_frames;

u64 machine_of(u64 guest_frame) { return g_machine_list[guest_frame]; }
u64 machine(const void* at) { return machine_of(physical(at) >> kFrameShift); }
u64 direct(const void* at) { return abi::kMachineDirectBase + physical(at); }
u64 entry(u64 machine_frame, u64 bits) { return machine_frame << kFrameShift | kPresent | kAccessed | bits; }
u64 address(const u64& word) {
  return (machine(&word) << kFrameShift) + (reinterpret_cast<u64>(&word) & kPageMask);
}
u64 number(const void* at) { return reinterpret_cast<u64>(at); }

// --- the calls -------------------------------------------------------------------------------------------

alignas(64) MmuUpdate g_updates[4];
MmuextOp g_operations[4];
MulticallEntry g_calls[4];
u32 g_done;

auto mmu_update(u64 list, u64 count, u64 done_out, u64 domain) {
  return call(abi::Interface::kXen, kMmuUpdate, list, count, done_out, domain);
}
auto mmuext_op(u64 list, u64 count, u64 done_out, u64 domain) {
  return call(abi::Interface::kXen, kMmuextOp, list, count, done_out, domain);
}
auto update_va(u64 va, u64 value, u64 flags = kFlushPage) {
  return call(abi::Interface::kXen, kUpdateVaMapping, va, value, flags);
}
auto update(u64 ptr, u64 value) {
  g_updates[0] = {ptr, value};
  return mmu_update(number(g_updates), 1, number(&g_done), kSelf);
}
auto operate(u32 command, u64 arg1, u64 arg2 = 0) {
  g_operations[0] = {command, 0, arg1, arg2};
  return mmuext_op(number(g_operations), 1, number(&g_done), kSelf);
}
auto operate(Mmuext command, u64 arg1, u64 arg2 = 0) {
  return operate(static_cast<u32>(command), arg1, arg2);
}
auto pin(const void* table, unsigned level) { return operate(level - 1, machine(table)); }
auto unpin(const void* table) { return operate(Mmuext::kUnpin, machine(table)); }

void refused(std::string_view what, Errno error, pv::HypercallResult result) {
  hostile::refused(what, as_value(error), result);
}

// Both mappings of a page of the image: this kernel's own and the direct map's.
pv::HypercallResult show(const void* page, u64 bits) {
  const auto first = update_va(number(page), entry(machine(page), bits));
  return first.status != Status::kOk ? first : update_va(direct(page), entry(machine(page), bits));
}
void hide(const Page& page) { accepted("a page turns read-only", show(&page, 0)); }

// --- what it tries ---------------------------------------------------------------------------------------

Page g_level3, g_level2, g_level1;       // of the user page
Page g_root, g_upper, g_middle, g_leaf;  // of the probes
Page g_data, g_other;
constexpr unsigned kSlot = 1;
constexpr u64 kVa = u64{kSlot} << 39;

void frames_are_in_another_order(const abi::BootBlock& block) {
  const auto* const to_physical = reinterpret_cast<const u64*>(kMachineToPhysical);
  u64 offsets = 0;
  for (u64 frame = 1; frame < g_frames; ++frame) {
    offsets += machine_of(frame) - machine_of(frame - 1) == 1 ? 1 : 0;
    if (to_physical[machine_of(frame)] != frame) check("machine to physical", "", frame, 0);
  }
  check("neighbours that stayed neighbours", "", 0, offsets);
  check("CR3", "", machine_of(block.boot_root) << kFrameShift, cpu::read_cr3());
  check("a load of CR3", "", kGeneralProtection, load_cr3(cpu::read_cr3()));
  check("the machine-to-physical table, written", "", kPageFault,
        store(number(to_physical + machine_of(0)), 0));
  refused("the same, remapped", Errno::kInval,
          update_va(number(to_physical), entry(machine(&g_data), kWritable)));
  refused("MACHPHYS_UPDATE", Errno::kNosys, update(machine(&g_data) << kFrameShift | kMachphysUpdate, 1));
}

void tables_are_read_only(const abi::BootBlock& block) {
  for (const u64 table : {block.boot_root, block.direct_table, block.direct_leaves}) {
    const u64 va = abi::kMachineDirectBase + (table << kFrameShift);
    check("a table, written", "", kPageFault, store(va, 0));
    check("a table, written: error code", "", 3, last_error_code());
    refused("a table, mapped writable", Errno::kBusy, update_va(va, entry(machine_of(table), kWritable)));
    refused("a table, mapped writable elsewhere", Errno::kBusy,
            update_va(number(&g_data), entry(machine_of(table), kWritable)));
    refused("a table, cleared", Errno::kInval, operate(Mmuext::kClearPage, machine_of(table)));
    refused("a table, copied to", Errno::kInval,
            operate(Mmuext::kCopyPage, machine_of(table), machine(&g_data)));
    check("a table, still read-only", "", kPageFault, store(va, 0));
  }
  accepted("the root's pin goes", operate(Mmuext::kUnpin, machine_of(block.boot_root)));
  refused("the root in use, freed", Errno::kBusy,
          update_va(abi::kMachineDirectBase + (block.boot_root << kFrameShift),
                    entry(machine_of(block.boot_root), kWritable)));
  refused("a pin that is gone", Errno::kInval, operate(Mmuext::kUnpin, machine_of(block.boot_root)));
  accepted("the pin comes back", operate(Mmuext::kPinL4, machine_of(block.boot_root)));
  const u64 root = machine_of(block.boot_root) << kFrameShift;
  refused("a linear table", Errno::kInval, update(root + 8, entry(machine_of(block.boot_root), 0)));
  refused("the hypervisor's slot", Errno::kInval, update(root + u64{kReservedSlot} * 8, 0));
}

void types_and_frames(const abi::BootBlock& block) {
  refused("a writable page as table", Errno::kInval, pin(&g_leaf, 1));
  g_leaf.words[0] = entry(machine(&g_leaf), kWritable);
  g_middle.words[0] = entry(machine(&g_middle), kWritable);
  g_upper.words[0] = entry(machine(&g_root), kWritable);
  g_root.words[0] = entry(machine(&g_upper), kWritable);
  for (const Page* page : {&g_leaf, &g_middle, &g_upper, &g_root}) hide(*page);
  refused("a table that writes to itself", Errno::kInval, pin(&g_leaf, 1));
  refused("a table below itself", Errno::kInval, pin(&g_middle, 2));
  refused("tables below each other", Errno::kInval, pin(&g_root, 4));
  refused("another level as base", Errno::kInval,
          operate(Mmuext::kNewBaseptr, machine_of(block.direct_table)));
  for (const Page* page : {&g_leaf, &g_middle, &g_upper, &g_root}) {
    accepted("a page that is no table after all", show(page, kWritable));
    const_cast<Page*>(page)->words[0] = 0;
    hide(*page);
  }
  accepted("a leaf table", pin(&g_leaf, 1));
  refused("a leaf table as root", Errno::kInval, pin(&g_leaf, 4));
  const u64 last = machine_of(0) + 2 * g_frames;
  for (const u64 foreign : {u64{0}, u64{0x100}, last, (u64{1} << 40) - 1}) {
    refused("a foreign frame", Errno::kPerm, update(address(g_leaf.words[1]), entry(foreign, 0)));
    refused("a foreign frame, writable", Errno::kPerm,
            update(address(g_leaf.words[1]), entry(foreign, kWritable)));
    refused("a foreign table", Errno::kInval, operate(Mmuext::kPinL1, foreign));
    refused("a foreign base", Errno::kInval, operate(Mmuext::kNewBaseptr, foreign));
    refused("an entry of a foreign table", Errno::kPerm, update(foreign << kFrameShift, 0));
    refused("a foreign frame, cleared", Errno::kInval, operate(Mmuext::kClearPage, foreign));
    refused("a foreign frame, copied", Errno::kInval, operate(Mmuext::kCopyPage, machine(&g_data), foreign));
  }
  for (const u64 bits : {kLarge, u64{8}, u64{16}, u64{1} << 52}) {
    refused("a dangerous bit", Errno::kInval,
            update(address(g_leaf.words[1]), entry(machine(&g_data), bits)));
  }
  accepted("a word of a page that is no table", update(machine(&g_data) << kFrameShift, 0));
  refused("an address that is not aligned", Errno::kNosys, update(address(g_leaf.words[1]) + 4, 0));
  check("what was refused", "", 0, g_leaf.words[1]);
}

void lists() {
  refused("too long a list", Errno::kInval, mmu_update(number(g_updates), kMaxBatch + 1, 0, kSelf));
  refused("a list that wraps", Errno::kInval, mmuext_op(number(g_operations), ~u64{0}, 0, kSelf));
  refused("another domain", Errno::kPerm, mmu_update(number(g_updates), 1, 0, 0));
  for (const u64 nowhere :
       {u64{0x10}, u64{0x8000'0000'0000}, kVa, kMachineToPhysical, ~u64{7}, number(&g_data) + 1}) {
    refused("a list that is nowhere", Errno::kFault, mmu_update(nowhere, 1, 0, kSelf));
    refused("a multicall that is nowhere", Errno::kFault,
            call(abi::Interface::kXen, kMulticall, nowhere, 1, 0));
    refused("done_out that is nowhere", Errno::kFault, mmu_update(number(g_updates), 0, nowhere, kSelf));
  }
  refused("done_out in a table", Errno::kFault, mmu_update(number(g_updates), 0, number(&g_leaf), kSelf));
  // A prefix is done, and told.
  g_updates[0] = {address(g_leaf.words[2]), entry(machine(&g_data), kWritable)};
  g_updates[1] = {address(g_leaf.words[3]), entry(machine(&g_leaf), kWritable)};
  g_updates[2] = {address(g_leaf.words[4]), entry(machine(&g_data), kWritable)};
  refused("a list with one that is wrong", Errno::kBusy,
          mmu_update(number(g_updates), 3, number(&g_done), kSelf));
  check("how many were done", "", 1, g_done);
  check("the first of them", "", entry(machine(&g_data), kWritable), g_leaf.words[2]);
  check("what follows", "", 0, g_leaf.words[4]);

  g_calls[0] = {kMulticall, 1, {number(g_calls), 4}};
  g_calls[1] = {99, 1, {}};
  g_calls[2] = {kUpdateVaMapping, 1, {number(&g_data), entry(machine(&g_leaf), kWritable), 0}};
  g_calls[3] = {kMmuextOp, 1, {number(g_operations), 0, 0, kSelf}};
  accepted("a multicall", call(abi::Interface::kXen, kMulticall, number(g_calls), 4, 0));
  check("a multicall in a multicall", "", as_value(Errno::kInval), g_calls[0].result);
  check("an unknown call in a multicall", "", as_value(Errno::kNosys), g_calls[1].result);
  check("what is refused in a multicall", "", as_value(Errno::kBusy), g_calls[2].result);
  check("what is not", "", 0, g_calls[3].result);

  for (u32 command = 0; command < 64; ++command) {
    const bool known = command < 12 || command == 16 || command == 17;
    if (!known) refused("an operation that does not transpose", Errno::kNosys, operate(command, 0));
  }
  for (const u32 other : {0u, 2u, 3u, 12u, 15u, 22u, 27u, 0x7fff'ffffu}) {
    refused("a call that does not transpose", Errno::kNosys, call(abi::Interface::kXen, other, 0, 0, 0));
  }
  accepted("flags that are none",
           update_va(number(&g_data), entry(machine(&g_data), kWritable), kFlushTypeMask));
  refused("a mask that is nowhere", Errno::kFault,
          update_va(number(&g_data), 0, kFlushTlb | 0x8000'0000'0000));
  for (const u64 a : kNastyValues) {
    for (const u64 b : kNastyValues) {
      mmu_update(a, b, 0, kSelf);
      mmuext_op(number(g_operations), b & 3, a, kSelf);
      call(abi::Interface::kXen, kMulticall, a, b, 0);
      if (a < abi::kMachineDirectBase) update_va(a, b, b);  // not this kernel's own pages
      update(a, b);
      operate(static_cast<u32>(b), a, b);
    }
  }
}

// Entries by chance in tables that loop and share, pinned and unpinned.
void by_chance() {
  static Page* const kTables[] = {&g_root, &g_upper, &g_middle, &g_leaf, &g_other};
  u64 state = 2003;
  const auto pick = [&state](u64 below) {
    state = state * 6364136223846793005 + 1442695040888963407;
    return (state >> 33) % below;
  };
  for (unsigned step = 0; step < 20000; ++step) {
    Page* const table = kTables[pick(5)];
    Page* const other = kTables[pick(5)];
    switch (pick(6)) {
      case 0:
        operate(static_cast<u32>(pick(4)), machine(table));
        break;
      case 1:
        unpin(table);
        break;
      case 2:
        show(table, pick(2) * kWritable);
        break;
      case 3:
        store(number(&table->words[pick(4)]), entry(machine(other), pick(2) * kWritable));
        break;
      default:
        update(address(table->words[pick(4)]) + pick(4),
               pick(4) == 0 ? 0 : entry(machine(other), pick(2) * kWritable));
    }
  }
  for (Page* table : kTables) {
    unpin(table);
    for (unsigned slot = 0; slot < 4; ++slot) update(address(table->words[slot]), 0);
  }
  for (Page* table : kTables) {
    accepted("a page that is free again", show(table, kWritable));
    check("its content is its own", "", kCompleted, store(number(&table->words[0]), 0));
    for (u64& word : table->words) word = 0;
  }
}

// A root comes, is used and goes.
void good_end(const abi::BootBlock& block) {
  const auto* const boot_root =
      reinterpret_cast<const u64*>(abi::kMachineDirectBase + (block.boot_root << kFrameShift));
  for (unsigned slot = 0; slot < 512; ++slot) g_root.words[slot] = boot_root[slot];
  g_root.words[kSlot] = entry(machine(&g_upper), kWritable);
  g_upper.words[0] = entry(machine(&g_middle), kWritable);
  g_middle.words[0] = entry(machine(&g_leaf), kWritable);
  g_leaf.words[0] = entry(machine(&g_data), kWritable);
  for (const Page* page : {&g_root, &g_upper, &g_middle, &g_leaf}) hide(*page);
  accepted("a root", pin(&g_root, 4));
  accepted("its load", operate(Mmuext::kNewBaseptr, machine(&g_root)));
  check("CR3 of it", "", machine(&g_root) << kFrameShift, cpu::read_cr3());
  check("its page", "", kCompleted, store(kVa, 2003));
  check("what was written there", "", 2003, g_data.words[0]);
  accepted("the page turns read-only", update_va(kVa, entry(machine(&g_data), 0)));
  check("a page that is read-only", "", kPageFault, store(kVa, 0));
  accepted("the page goes", update(address(g_leaf.words[0]) | kPreserveAd, 0));
  accepted("and its translation", operate(Mmuext::kInvlpgLocal, kVa));
  check("a page that went", "", kPageFault, load(kVa));
  accepted("the first root", operate(Mmuext::kNewBaseptr, machine_of(block.boot_root)));
  accepted("the root goes", unpin(&g_root));
  for (const Page* page : {&g_root, &g_upper, &g_middle, &g_leaf}) {
    accepted("its memory comes back", show(page, kWritable));
  }
}

u64 run(const abi::BootBlock& block) {
  const u64 before = calls_made();
  frames_are_in_another_order(block);
  tables_are_read_only(block);
  types_and_frames(block);
  lists();
  by_chance();
  good_end(block);
  return calls_made() - before;
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interface{"xen", run};

}  // namespace

u64 hostile::xen::map_for_user(const abi::BootBlock& block, const Page& page) {
  constexpr u64 kUserVa = 0x40'0000;
  g_machine_list = reinterpret_cast<const u64*>(block.machine_list);
  g_frames = block.memory_bytes >> kFrameShift;
  g_level1.words[0] = entry(machine(&page), kWritable | kUser);
  g_level2.words[2] = entry(machine(&g_level1), kWritable | kUser);
  g_level3.words[0] = entry(machine(&g_level2), kWritable | kUser);
  for (const Page* table : {&g_level1, &g_level2, &g_level3}) hide(*table);
  accepted("the user page",
           update(machine_of(block.boot_root) << kFrameShift, entry(machine(&g_level3), kWritable | kUser)));
  return kUserVa;
}
