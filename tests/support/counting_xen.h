// A Xen that does what a guest's tables ask of it, and counts how often it would have to check one. For tests
// of the guest's side.
#pragma once

#include <absl/container/btree_map.h>
#include <gtest/gtest.h>

#include <vector>

#include "native-fallback/sinks/xen_tables.h"

namespace nopte::pt {

using abi::xen::Mmuext;

struct Operation {
  Mmuext command;
  u64 argument;
  bool operator==(const Operation&) const = default;
};

inline constexpr u64 kPages = 128;
inline constexpr u64 kDirectLeavesFrame = 2, kFirstUserRoot = 4,
                     kFirstFreeFrame = kFirstUserRoot + abi::kUserRoots;
// Neighbours are never neighbours.
constexpr u64 machine_of(u64 frame) { return 3000 - 3 * frame; }

// Does what it is asked, and counts; that tables are used as such is not checked.
struct Xen {
  u8* memory = nullptr;
  u64 base = 0;
  u64 calls = 0;
  u64 checked = 0;  // tables whose use began
  u64 updates = 0;
  std::vector<Operation> operations;
  absl::btree_map<u64, int> uses;           // of a frame as a table: by entries and pins
  absl::btree_map<u64, int> first_uses;     // how often its uses began: as often it was checked
  absl::btree_map<u64, unsigned> level_of;  // of those that are or were tables

  u64* entry(u64 machine, unsigned index) {
    return reinterpret_cast<u64*>(memory + pages_to_bytes(frame_of(machine))) + index;
  }
  static u64 frame_of(u64 machine) { return (3000 - machine) / 3; }
  void use(u64 frame, int change) {
    int& count = uses[frame];
    if (count == 0 && change > 0) {
      ++checked;
      ++first_uses[frame];
      EXPECT_FALSE(writable(frame)) << frame;
    }
    count += change;
    ASSERT_GE(count, 0);
    const bool begins = count == change && change > 0, ends = count == 0;
    if (!begins && !ends) return;
    for (unsigned index = 0; level_of[frame] > 1 && index < 256; ++index) {
      count_entry(level_of[frame], *entry(machine_of(frame), index), change);
    }
  }
  // Of a page that the kernel sees in its direct map.
  bool writable(u64 frame) {
    const Entry alias(*entry(machine_of(kDirectLeavesFrame), static_cast<unsigned>(frame)));
    return alias.empty() ? frame >= kFirstFreeFrame : alias.writable();
  }
  void count_entry(unsigned level, u64 word, int change) {
    if ((word & 1) == 0) return;
    const u64 below = frame_of(Entry(word).frame().number());
    level_of[below] = level - 1;
    use(below, change);
  }
  void update(u64 address, u64 value) {
    ++updates;
    const u64 ptr = address & ~abi::xen::kCommandMask;
    const u64 machine = ptr >> kPageShift, frame = frame_of(machine);
    u64* const at = entry(machine, static_cast<unsigned>(ptr % kPageBytes / sizeof(u64)));
    if ((address & abi::xen::kCommandMask) == abi::xen::kPreserveAd) {
      value |= *at & (Entry::kAccessed | Entry::kDirty);
    }
    const u64 old = std::exchange(*at, value);
    if (frame == kDirectLeavesFrame && Entry(value).writable()) {
      EXPECT_EQ(uses[frame_of(Entry(value).frame().number())], 0) << "a table would be writable";
    }
    if (level_of[frame] < 2 || uses[frame] == 0) return;
    count_entry(level_of[frame], value, 1);
    count_entry(level_of[frame], old, -1);
  }
  void operate(const abi::xen::MmuextOp& operation) {
    const auto command = static_cast<Mmuext>(operation.cmd);
    operations.push_back({command, operation.arg1});
    if (command <= Mmuext::kPinL4) use(frame_of(operation.arg1), 1);
    if (command == Mmuext::kNewBaseptr) base = operation.arg1;
    if (command == Mmuext::kUnpin) use(frame_of(operation.arg1), -1);
  }
  void call(u64 number, u64 a0, u64 a1, u64 a2) {
    if (number == abi::xen::kMmuUpdate) {
      for (u64 i = 0; i < a1; ++i) {
        const auto& each = reinterpret_cast<const abi::xen::MmuUpdate*>(a0)[i];
        update(each.ptr, each.val);
      }
      *reinterpret_cast<u32*>(a2) = static_cast<u32>(a1);
    } else if (number == abi::xen::kMmuextOp) {
      for (u64 i = 0; i < a1; ++i) operate(reinterpret_cast<const abi::xen::MmuextOp*>(a0)[i]);
      *reinterpret_cast<u32*>(a2) = static_cast<u32>(a1);
    } else if (number == abi::xen::kUpdateVaMapping) {
      u64 table = base;
      for (unsigned level = 4; level > 1; --level) {
        table = Entry(*entry(table, table_index(Gva(a0), level))).frame().number();
      }
      update(pages_to_bytes(table) + table_index(Gva(a0), 1) * sizeof(u64), a1);
      if (a2 != abi::xen::kFlushNone) operations.push_back({Mmuext::kInvlpgLocal, a0});
    } else {
      ASSERT_EQ(number, abi::xen::kMulticall);
      for (u64 i = 0; i < a1; ++i) {
        const auto& each = reinterpret_cast<const abi::xen::MulticallEntry*>(a0)[i];
        call(each.op, each.args[0], each.args[1], each.args[2]);
      }
    }
  }
};
inline Xen* g_xen;
inline HypercallAnswer hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64) {
  ++g_xen->calls;
  g_xen->call(number & 0xffff'ffff, a0, a1, a2);
  return {Status::kOk, 0};
}

}  // namespace nopte::pt
