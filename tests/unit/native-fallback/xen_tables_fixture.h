// Roots and spaces over the guest's side of Xen's interface, and a Xen that counts
// (tests/support/counting_xen.h).
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "native-fallback/tables/cursor.h"
#include "tests/support/counting_xen.h"

namespace nopte::pt {

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
  static constexpr Frame kDirectTable{1}, kDirectLeaves{kDirectLeavesFrame}, kUserRoots{kFirstUserRoot};
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
    const FrameRange usable{Frame(kFirstFreeFrame), Frame(kPages)};
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
  void remove(Frame from, Gva va) {
    TlbBatch<Sink> batch(sink_, frames_, counters_, from, FlushScope::kSpace);
    Cursor<Sink> cursor(table_memory_, from);
    cursor.walk(va);
    const Entry leaf = cursor.entry();
    cursor.replace(table_index(va, 1), leaf, Entry());
    note_emptied(frames_.meta(cursor.table()));
    batch.page(va);
    batch.frame(leaf.frame(), frames_.meta(leaf.frame()));
    cursor.prune(batch);
    batch.flush();
    sink_.complete();
  }
  // As the engine takes a space apart, which does not run.
  void destroy(Frame root) {
    sink_.root_retire(root);
    TlbBatch<Sink> batch(sink_, frames_, counters_, root, FlushScope::kSpace);
    free_below(root, 4, batch);
    batch.table(root);
    batch.flush();
  }
  void free_below(Frame table, unsigned level, TlbBatch<Sink>& batch) {
    for (TableScan<Sink> scan(sink_, frames_.meta(table), table, 0, level == 4 ? 255 : 511); scan.next();) {
      const Frame below = scan.entry().frame();
      if (level == 1) {
        frames_.free(below);
        continue;
      }
      if (frames_.meta(below).refs == 1) free_below(below, level - 1, batch);
      if (--frames_.meta(below).refs == 0) batch.table(below);
    }
  }
  // All frames that are free can be had, and be written to.
  void expect_all_free_are_memory() {
    const u64 free = frames_.free_frames();
    u64 got = 0;
    for (auto frame = frames_.alloc(FrameKind::kAnon); frame;
         frame = frames_.alloc(FrameKind::kAnon), ++got) {
      EXPECT_TRUE(xen_.writable(frame->number())) << frame->number();
      EXPECT_EQ(xen_.uses[frame->number()], 0) << frame->number();
    }
    EXPECT_EQ(got, free);
  }

  std::vector<Operation> take_operations() { return std::exchange(xen_.operations, {}); }
  u64 take_calls() { return std::exchange(xen_.calls, 0); }
  u64 take_updates() { return std::exchange(xen_.updates, 0); }
  Entry slot_of(Frame root, Gva va) { return load_entry(frames_.pointer(root), table_index(va, 4)); }
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

}  // namespace nopte::pt
