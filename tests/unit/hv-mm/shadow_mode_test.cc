// Stores that mode shadow executes for the guest, and those that it leaves to the processor: each lands where
// a processor puts it, or faults as there and changes nothing.
#include "fake_host.h"
#include "hv-mm/shadow/trapped/trapped_mode.h"
#include "shadow_machine.h"

namespace nopte::hv::testing {
namespace {

constexpr u64 kFlags = kP | kW | kU | kA | kD;

// Three pages in a row: whichever of them are level 2 tables in use is the test's choice.
//
//   root [0] -> level 3 [0] -> level 2 -> leaf table: the three pages, from kPages on, and code
//                       [1 + i]        -> page i, where it is used as a level 2 table
class ShadowModeTest : public ::testing::Test {
 protected:
  static constexpr u64 kPages = 0x10'0000, kCode = 0x5000;
  enum Frame : u64 { kRoot = 1, kL3, kL2, kL1, kCodeFrame, kFirstPage = 32 };

  ShadowModeTest() : machine(mode.mmu(), 1024, 64, 64) {
    vcpu.keep_whole_registers_at_faults();
    vmcb.exit_code = exit_code::kPageFault;
    vmcb.cs.attributes = Vcpu::kAttributeLong;
    set(kRoot, 0, kL3 * 4096 | kFlags);
    set(kL3, 0, kL2 * 4096 | kFlags);
    set(kL2, 0, kL1 * 4096 | kFlags);
    set(kL1, kCode / 4096, kCodeFrame * 4096 | kFlags);
    for (u64 i = 0; i < 3; ++i) {
      set(kL1, kPages / 4096 + i, frame(i) * 4096 | kFlags);
      set(kL3, 1 + i, frame(i) * 4096 | kFlags);
      for (u64 slot = 0; slot < 512; ++slot) set(frame(i), slot, pattern(i, slot));
    }
    machine.load_root(kRoot * 4096);
    mode.start_on(vcpu, host);
  }

  // Not in a row: a store that runs into the next page does not run into the next frame.
  static u64 frame(u64 page) { return kFirstPage + page * 3; }
  static u64 pattern(u64 page, u64 slot) {
    return slot == 0 || slot == 511 ? kL1 * 4096 | kFlags : page << 20;
  }
  void set(u64 table, u64 slot, u64 entry) { machine.guest().write(table * 4096 + slot * 8, entry); }
  void use_as_table(u64 page) {
    const u64 va = (page + 1) << 30 | kCode;
    EXPECT_EQ(machine.access(va, 4).end, ShadowMachine::Access::End::kDone);
    EXPECT_TRUE(mode.mmu().tables().is_protected(frame(page)));
  }

  enum class End { kDone, kExecuted, kReflected };
  // One instruction that reads and writes `bytes` bytes at va, to its end; the test's processor does
  // change(value) itself when both pages are open.
  template <class Change>
  End run(std::vector<u8> code, u64 va, unsigned bytes, Change change) {
    const u64 at = kCodeFrame * 4096;
    std::copy(code.begin(), code.end(), machine.guest().data() + at);
    vmcb.rip = kCode;
    exits = 0;
    for (int tries = 0; tries < 8; ++tries) {
      const u64 last = va + bytes - 1;
      const u64 refused = !machine.shadow_walk(va, 2).ok                               ? va
                          : (last ^ va) >> 12 != 0 && !machine.shadow_walk(last, 2).ok ? last & ~u64{4095}
                                                                                       : 0;
      if (refused == 0) {
        u64 value = 0;
        for (unsigned i = 0; i < bytes; ++i) value |= u64{*byte(va + i)} << 8 * i;
        value = change(value);
        for (unsigned i = 0; i < bytes; ++i) *byte(va + i) = static_cast<u8>(value >> 8 * i);
        return End::kDone;
      }
      ++exits;
      mode.on_page_fault(vcpu, Gva(refused), machine.shadow_walk(refused, 2).error);
      mode.mmu().tables().check_invariants();
      if (std::exchange(vmcb.event_injection, 0) & kEventValid) {
        EXPECT_EQ(vmcb.rip, kCode);
        return End::kReflected;
      }
      if (vmcb.rip != kCode) {
        EXPECT_EQ(vmcb.rip, kCode + code.size());
        return End::kExecuted;
      }
    }
    ADD_FAILURE() << "no progress";
    return End::kReflected;
  }
  u8* byte(u64 va) {
    return machine.guest().data() + machine.shadow_walk(va, 2).physical - kHostBase + va % 4096;
  }
  // Eight bytes as the guest reads them.
  u64 read(u64 va) {
    u64 value = 0;
    for (unsigned i = 0; i < 8; ++i) {
      const u64 at = machine.guest_walk(va + i, 0).physical + (va + i) % 4096;
      value |= u64{machine.guest().data()[at]} << 8 * i;
    }
    return value;
  }

  class Mode final : public TrappedMode {};
  Mode mode;
  ShadowMachine machine;
  FakeHost host;
  Vmcb vmcb{};
  Vcpu vcpu{vmcb, 0};
  unsigned exits = 0;
};

const std::vector<u8> kMovRdiRax = {0x48, 0x89, 0x07};
constexpr unsigned kRax = 0, kRdi = 7;
constexpr u64 kNew = (u64{9} << 32 | u64{5} << 16) & ~kP;

TEST_F(ShadowModeTest, AStoreToATableIsExecuted) {
  use_as_table(1);
  for (const u64 slot : {0, 1, 511}) {
    const u64 va = kPages + 4096 + slot * 8;
    vcpu.gpr(kRdi) = va, vcpu.gpr(kRax) = kNew + slot;
    EXPECT_EQ(run(kMovRdiRax, va, 8, [](u64 v) { return v; }), End::kExecuted);
    EXPECT_EQ(read(va), kNew + slot);
    EXPECT_TRUE(mode.mmu().tables().is_protected(frame(1))) << slot;
  }
}

TEST_F(ShadowModeTest, AStoreThatRunsIntoATableIsTheProcessors) {
  for (unsigned tables = 1; tables < 4; ++tables) {  // the second page, the first, both
    for (unsigned before = 1; before < 8; ++before) {
      SCOPED_TRACE(::testing::Message() << "tables " << tables << " bytes before " << before);
      for (const u64 page : {0, 1}) {
        for (const u64 slot : {0, 511}) set(frame(page), slot, pattern(page, slot));
        machine.mmu.flush();
        if (tables & (page == 0 ? 2 : 1)) use_as_table(page);
      }
      const u64 va = kPages + 4096 - before;
      const u64 next = read(va + 8), previous = read(va - 8);
      vcpu.gpr(kRdi) = va, vcpu.gpr(kRax) = 0x1111'1110'2222'2220;
      EXPECT_EQ(run(kMovRdiRax, va, 8, [](u64) { return 0x1111'1110'2222'2220; }), End::kDone);
      EXPECT_EQ(read(va), 0x1111'1110'2222'2220u);
      EXPECT_EQ(read(va + 8), next);
      EXPECT_EQ(read(va - 8), previous);
      EXPECT_LE(exits, 4u);
    }
  }
}

TEST_F(ShadowModeTest, WhereOnePageRefusesNothingIsWritten) {
  for (const u64 table : {0, 1}) {
    const u64 refusing = 1 - table;
    set(kL1, kPages / 4096 + refusing, frame(refusing) * 4096 | (kFlags & ~kW));
    set(kL1, kPages / 4096 + table, frame(table) * 4096 | kFlags);
    machine.mmu.flush();
    use_as_table(table);
    const u64 va = kPages + 4096 - 4, first = read(va - 4), second = read(va + 4);
    vcpu.gpr(kRdi) = va, vcpu.gpr(kRax) = ~u64{0};
    EXPECT_EQ(run(kMovRdiRax, va, 8, [](u64) { return ~u64{0}; }), End::kReflected);
    EXPECT_EQ(vmcb.cr2, refusing == 0 ? va : kPages + 4096);
    EXPECT_EQ(read(va - 4), first);
    EXPECT_EQ(read(va + 4), second);
  }
}

TEST_F(ShadowModeTest, ReadsModifiesWritesThatRunIntoATable) {
  const struct {
    std::vector<u8> code;
    u64 (*change)(u64 value, u64 rax);
    unsigned bytes;
  } rows[] = {
      {{0x48, 0x01, 0x07}, [](u64 v, u64 rax) { return v + rax; }, 8},                   // add [rdi], rax
      {{0xf0, 0x48, 0x09, 0x07}, [](u64 v, u64 rax) { return v | rax; }, 8},             // lock or [rdi], rax
      {{0x48, 0x83, 0x37, 0x02}, [](u64 v, u64) { return v ^ 2; }, 8},                   // xor [rdi], 2
      {{0x48, 0xc7, 0x07, 8, 0, 0, 0}, [](u64, u64) { return u64{8}; }, 8},              // mov [rdi], 8
      {{0x48, 0x0f, 0xba, 0x2f, 0x3f}, [](u64 v, u64) { return v | u64{1} << 63; }, 8},  // bts [rdi], 63
      {{0x89, 0x07}, [](u64, u64 rax) { return rax & 0xffff'ffff; }, 4},                 // mov [rdi], eax
      {{0x66, 0x89, 0x07}, [](u64, u64 rax) { return rax & 0xffff; }, 2},                // mov [rdi], ax
      {{0x48, 0xab}, [](u64, u64 rax) { return rax; }, 8},                               // stosq
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    set(frame(1), 0, pattern(1, 0));
    machine.mmu.flush();
    use_as_table(1);
    const u64 va = kPages + 4096 - row.bytes / 2, rax = 0x2468'ace0'1357'9bde;
    const u64 before = read(va), after = read(va + row.bytes);
    const u64 mask = row.bytes == 8 ? ~u64{0} : (u64{1} << 8 * row.bytes) - 1;
    vcpu.gpr(kRdi) = va, vcpu.gpr(kRax) = rax;
    const auto change = [&](u64 value) { return row.change(value, rax); };
    EXPECT_EQ(run(row.code, va, row.bytes, change), End::kDone);
    EXPECT_EQ(read(va) & mask, row.change(before & mask, rax) & mask);
    EXPECT_EQ(read(va + row.bytes), after);
  }
}

TEST_F(ShadowModeTest, WhereAnOperandLies) {
  use_as_table(1);
  const u64 table = kPages + 4096;
  constexpr unsigned kRcx = 1, kR9 = 9;
  // bts [rdi], rcx: the bit number reaches before and behind the operand.
  for (const i64 bit : {3, 64 * 5 + 7, -64 * 2 + 9, -1}) {
    const u64 at = table + 64 + static_cast<u64>(bit >> 6) * 8;
    const u64 before = read(at);
    vcpu.gpr(kRdi) = table + 64, vcpu.gpr(kRcx) = static_cast<u64>(bit);
    EXPECT_EQ(run({0x48, 0x0f, 0xab, 0x0f}, at, 8, [](u64 v) { return v; }), End::kExecuted);
    EXPECT_EQ(read(at), before | u64{1} << (bit & 63));
  }
  // The same from the page before: the operand that is written is the table's entry 0.
  vcpu.gpr(kRdi) = table - 8, vcpu.gpr(kRcx) = 64 + 8;
  EXPECT_EQ(run({0x48, 0x0f, 0xab, 0x0f}, table, 8, [](u64 v) { return v; }), End::kExecuted);
  EXPECT_EQ(read(table), pattern(1, 0) | 1u << 8);
  // mov [r9 + rcx * 8 + 16], rax; mov [rip + x], rax.
  vcpu.gpr(kR9) = table, vcpu.gpr(kRcx) = 2, vcpu.gpr(kRax) = kNew;
  EXPECT_EQ(run({0x49, 0x89, 0x44, 0xc9, 0x10}, table + 32, 8, [](u64 v) { return v; }), End::kExecuted);
  EXPECT_EQ(read(table + 32), kNew);
  const u32 to = static_cast<u32>(table + 40 - kCode - 7);
  EXPECT_EQ(run({0x48, 0x89, 0x05, static_cast<u8>(to), static_cast<u8>(to >> 8), static_cast<u8>(to >> 16),
                 static_cast<u8>(to >> 24)},
                table + 40, 8, [](u64 v) { return v; }),
            End::kExecuted);
  EXPECT_EQ(read(table + 40), kNew);
  // gs: where it begins is not known here.
  vcpu.gpr(kRdi) = table + 48;
  EXPECT_EQ(run({0x65, 0x48, 0x89, 0x07}, table + 48, 8, [](u64) { return kNew; }), End::kDone);
  EXPECT_EQ(read(table + 48), kNew);
}

// What a guest took away in a table that it may write to is forgotten when it writes CR0 or CR4.
TEST_F(ShadowModeTest, AWriteOfAControlRegisterForgetsWhatWentMeanwhile) {
  ASSERT_EQ(machine.access(kPages, 2).end, ShadowMachine::Access::End::kDone);
  mode.mmu().release(Gpa(kL1 * 4096));
  static_cast<void>(mode.mmu().take_flush());
  vcpu.collect_events();
  set(kL1, kPages / 4096, 0);
  ASSERT_TRUE(machine.shadow_walk(kPages, 0).ok);
  mode.on_control_changed(vcpu);
  EXPECT_FALSE(machine.shadow_walk(kPages, 0).ok);
  EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
  ASSERT_EQ(host.forgotten.size(), 1u);
  EXPECT_EQ(host.forgotten[0], std::pair(Gva(kPages), vmcb.asid));
}

}  // namespace
}  // namespace nopte::hv::testing
