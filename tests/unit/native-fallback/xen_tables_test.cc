// The guest's side of Xen's interface: what is asked of Xen for the life of roots and tables, and how often
// it has to check a table.
#include "native-fallback/sinks/xen_tables.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "native-fallback/tables/cursor.h"

namespace nopte::pt {
namespace {

using abi::xen::Mmuext;

struct Operation {
  Mmuext command;
  u64 argument;
  bool operator==(const Operation&) const = default;
};

constexpr u64 kPages = 128;
// Neighbours are never neighbours.
constexpr u64 machine_of(u64 frame) { return 3000 - 3 * frame; }

// Does what it is asked, and counts; that tables are used as such is not checked.
struct Xen {
  u8* memory = nullptr;
  u64 calls = 0;
  u64 updates = 0;
  std::vector<Operation> operations;
  std::map<u64, int> uses;           // of a frame as a table: by entries and pins
  std::map<u64, int> first_uses;     // how often its uses began: as often it was checked
  std::map<u64, unsigned> level_of;  // of those that are or were tables

  u64* entry(u64 machine, unsigned index) {
    return reinterpret_cast<u64*>(memory + pages_to_bytes(frame_of(machine))) + index;
  }
  static u64 frame_of(u64 machine) { return (3000 - machine) / 3; }
  void use(u64 frame, int change) {
    int& count = uses[frame];
    if (count == 0 && change > 0) ++first_uses[frame];
    count += change;
    ASSERT_GE(count, 0);
    const bool begins = count == change && change > 0, ends = count == 0;
    if (!begins && !ends) return;
    for (unsigned index = 0; level_of[frame] > 1 && index < 256; ++index) {
      count_entry(level_of[frame], *entry(machine_of(frame), index), change);
    }
  }
  void count_entry(unsigned level, u64 word, int change) {
    if ((word & 1) == 0) return;
    const u64 below = frame_of(Entry(word).frame().number());
    level_of[below] = level - 1;
    use(below, change);
  }
  void update(u64 ptr, u64 value) {
    ++updates;
    const u64 machine = ptr >> kPageShift, frame = frame_of(machine);
    u64* const at = entry(machine, static_cast<unsigned>(ptr % kPageBytes / sizeof(u64)));
    const u64 old = std::exchange(*at, value);
    if (level_of[frame] < 2 || uses[frame] == 0) return;
    count_entry(level_of[frame], value, 1);
    count_entry(level_of[frame], old, -1);
  }
  void operate(const abi::xen::MmuextOp& operation) {
    const auto command = static_cast<Mmuext>(operation.cmd);
    operations.push_back({command, operation.arg1});
    if (command <= Mmuext::kPinL4) use(frame_of(operation.arg1), 1);
    if (command == Mmuext::kUnpin) use(frame_of(operation.arg1), -1);
  }
  void call(u64 number, u64 a0, u64 a1, u64 a2) {
    if (number == abi::xen::kMmuUpdate) {
      for (u64 i = 0; i < a1; ++i) {
        const auto& each = reinterpret_cast<const abi::xen::MmuUpdate*>(a0)[i];
        update(each.ptr & ~abi::xen::kCommandMask, each.val);
      }
      *reinterpret_cast<u32*>(a2) = static_cast<u32>(a1);
    } else if (number == abi::xen::kMmuextOp) {
      for (u64 i = 0; i < a1; ++i) operate(reinterpret_cast<const abi::xen::MmuextOp*>(a0)[i]);
      *reinterpret_cast<u32*>(a2) = static_cast<u32>(a1);
    } else {
      ASSERT_EQ(number, abi::xen::kMulticall);
      for (u64 i = 0; i < a1; ++i) {
        const auto& each = reinterpret_cast<const abi::xen::MulticallEntry*>(a0)[i];
        call(each.op, each.args[0], each.args[1], each.args[2]);
      }
    }
  }
};
Xen* g_xen;
HypercallAnswer hypercall(u64 number, u64 a0, u64 a1, u64 a2, u64) {
  ++g_xen->calls;
  g_xen->call(number & 0xffff'ffff, a0, a1, a2);
  return {Status::kOk, 0};
}

struct Plain {
  void load_root(PhysAddr) {}
  [[nodiscard]] bool runs(PhysAddr) const { return false; }
  void flush_page(Gva) {}
  void flush_user() {}
  void flush_everything() {}
  void zero_page(u8* page) { std::fill_n(page, kPageBytes, u8{0}); }
  void copy_page(u8*, const u8*) {}
};

class XenTablesTest : public testing::Test {
 protected:
  using Sink = TableOpsSink<Plain>;
  static constexpr Frame kDirectTable{1}, kDirectLeaves{2}, kUserRoots{4};
  static constexpr u64 kFirstFree = 4 + abi::kUserRoots;
  static constexpr Gva kVa{0x40'0000}, kThere{0x4000'0000'0000};

  XenTablesTest() {
    g_xen = &xen_;
    xen_.memory = memory();
    for (u64 frame = 0; frame < kPages; ++frame) {
      to_machine_.push_back(machine_of(frame));
      to_physical_[machine_of(frame)] = frame;
    }
    for (u64 i = 0; i < abi::kUserRoots; ++i) {
      xen_.level_of[kUserRoots.number() + i] = 4;
      xen_.use(kUserRoots.number() + i, 1);
    }
    const FrameRange all = FrameRange::of(Frame(0), kPages);
    const FrameRange usable{Frame(kFirstFree), Frame(kPages)};
    EXPECT_TRUE(frames_.init(reinterpret_cast<u64>(memory()), all, {&usable, 1}));
    tables_.start({to_machine_.data(), to_physical_.data(), kDirectTable, kDirectLeaves, kUserRoots});
    kernel_ = root();
    sink_.root_create(kernel_);
    sink_.root_activate(kernel_);
  }

  Frame root() {
    const Frame made = *table_memory_.make(4);
    xen_.level_of[made.number()] = 4;
    frames_.meta(made).refs = 1;
    sink_.root_create(made);
    return made;
  }
  // A root with a page at each of these.
  Frame space(std::initializer_list<Gva> pages) {
    const Frame made = root();
    for (const Gva va : pages) install(made, va);
    return made;
  }
  void install(Frame in, Gva va) {
    Cursor<Sink> cursor(table_memory_, in);
    cursor.walk(va);
    const Frame page = *frames_.alloc(FrameKind::kAnon);
    ASSERT_TRUE(cursor.install(Entry::leaf(page, kPermRW, Privilege::kUser, Access::kWrite)));
    sink_.complete();
  }
  std::vector<Operation> take_operations() { return std::exchange(xen_.operations, {}); }
  u64 take_calls() { return std::exchange(xen_.calls, 0); }
  u64 take_updates() { return std::exchange(xen_.updates, 0); }
  Entry slot_of(Frame root, Gva va) { return load_entry(frames_.window(root), table_index(va, 4)); }
  static u64 user_machine(u64 n) { return machine_of(kUserRoots.number() + n); }

  u8* memory() { return reinterpret_cast<u8*>(memory_.data()); }
  struct alignas(kPageBytes) Page {
    u8 bytes[kPageBytes];
  };
  std::vector<Page> memory_ = std::vector<Page>(kPages);
  std::vector<u64> to_machine_;
  std::vector<u64> to_physical_ = std::vector<u64>(4096);
  Xen xen_;
  FrameTable frames_;
  EngineCounters counters_;
  Plain processor_;
  XenQueueMemory queue_;
  XenTables<hypercall> tables_{frames_, queue_};
  Sink sink_{frames_, processor_, tables_};
  TableMemory<Sink> table_memory_{sink_, frames_, counters_};
  Frame kernel_;
};

TEST_F(XenTablesTest, ASpaceThatRanLatelyIsOnlyLoaded) {
  const Frame a = space({kVa, kThere}), b = space({kVa, kThere});
  sink_.root_activate(a);
  sink_.root_activate(b);
  take_calls(), take_updates(), take_operations();
  sink_.root_activate(a);
  EXPECT_EQ(take_calls(), 1u);
  EXPECT_EQ(take_updates(), 0u);
  EXPECT_EQ(take_operations(), (std::vector<Operation>{{Mmuext::kNewUserBaseptr, user_machine(0)},
                                                       {Mmuext::kNewBaseptr, machine_of(a.number())}}));
}

TEST_F(XenTablesTest, AUserRootFollowsWhatIsLinkedAndIsEmptyWhenItsSpaceHasGone) {
  const Frame a = space({kVa}), b = space({kVa});
  sink_.root_activate(a);
  sink_.root_activate(b);
  install(a, kThere);  // does not run
  for (const Gva va : {kVa, kThere}) {
    EXPECT_EQ(slot_of(kUserRoots, va), slot_of(a, va));
    EXPECT_FALSE(slot_of(kUserRoots, va).empty());
  }
  sink_.root_retire(a);
  sink_.complete();
  for (const Gva va : {kVa, kThere}) EXPECT_TRUE(slot_of(kUserRoots, va).empty());
  EXPECT_EQ(slot_of(kUserRoots + 1, kVa), slot_of(b, kVa));
}

TEST_F(XenTablesTest, TheOneThatRunsKeepsItsUserRootHoweverManyThereAre) {
  std::vector<Frame> spaces;
  for (u64 i = 0; i < abi::kUserRoots + 3; ++i) spaces.push_back(space({kVa}));
  for (int round = 0; round < 2; ++round) {
    for (const Frame one : spaces) {
      take_operations();
      sink_.root_activate(one);
      u64 loaded = 0;
      for (const Operation& each : take_operations()) {
        if (each.command == Mmuext::kNewUserBaseptr) loaded = each.argument;
      }
      if (loaded == 0) {
        EXPECT_TRUE(round == 0 && one == spaces.front());  // the first is loaded from the start
        loaded = user_machine(0);
      }
      EXPECT_EQ(slot_of(Frame(Xen::frame_of(loaded)), kVa), slot_of(one, kVa));
    }
  }
}

TEST_F(XenTablesTest, ATableThatMovesIsNotCheckedAgain) {
  const Frame a = space({kVa, kThere});
  sink_.root_activate(a);
  Cursor<Sink> from(table_memory_, a), to(table_memory_, a);
  from.walk(kVa);
  const Frame moves = from.table();
  to.walk(kThere + FourLevel::table_bytes(1));
  ASSERT_EQ(to.level(), 2u);
  const int checked = xen_.first_uses[moves.number()];
  EXPECT_EQ(checked, 1);
  from.move_table(to);
  sink_.flush_all(a, FlushScope::kSpace);
  EXPECT_EQ(xen_.first_uses[moves.number()], checked);
  EXPECT_EQ(xen_.uses[moves.number()], 1);
}

}  // namespace
}  // namespace nopte::pt
