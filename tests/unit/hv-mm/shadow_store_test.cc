// Stores to shadowed tables: decoding against hand-assembled bytes, execution against the processor's own.
#include <gtest/gtest.h>

#include <random>

#include "hv-mm/shadow/trapped/store_execute.h"
#include "tests/support/arch/x86_64/store_instructions.h"

namespace nopte::hv {
namespace {

struct Row {
  std::vector<u8> bytes;
  StoreOp op;
  u8 operand_bytes;
  u8 register_index;  // ignored with an immediate
  bool has_immediate = false;
  u64 immediate = 0;
};

const Row kRows[] = {
    {{0x48, 0x89, 0x07}, StoreOp::kMov, 8, 0},                          // mov [rdi], rax
    {{0x4c, 0x89, 0x3c, 0xc7}, StoreOp::kMov, 8, 15},                   // mov [rdi+rax*8], r15
    {{0x49, 0x89, 0x9c, 0x24, 0x00, 0x10, 0, 0}, StoreOp::kMov, 8, 3},  // mov [r12+1000h], rbx
    {{0x48, 0x89, 0x05, 1, 2, 3, 4}, StoreOp::kMov, 8, 0},              // mov [rip+...], rax
    {{0x48, 0x89, 0x0c, 0x25, 0, 0, 0, 0x80}, StoreOp::kMov, 8, 1},     // mov [abs32], rcx
    {{0x48, 0x89, 0x45, 0xf8}, StoreOp::kMov, 8, 0},                    // mov [rbp-8], rax
    {{0x89, 0x17}, StoreOp::kMov, 4, 2},                                // mov [rdi], edx
    {{0x65, 0x48, 0x89, 0x07}, StoreOp::kMov, 8, 0},                    // gs
    {{0x48, 0xc7, 0x07, 0x67, 0, 0, 0x80}, StoreOp::kMov, 8, 0, true, 0xffff'ffff'8000'0067},
    {{0xc7, 0x47, 0x04, 0x01, 0, 0, 0}, StoreOp::kMov, 4, 0, true, 1},
    {{0x48, 0x0f, 0xc3, 0x06}, StoreOp::kMov, 8, 0},            // movnti
    {{0x4d, 0x87, 0x08}, StoreOp::kXchg, 8, 9},                 // xchg [r8], r9
    {{0xf0, 0x48, 0x0f, 0xb1, 0x0f}, StoreOp::kCmpxchg, 8, 1},  // lock cmpxchg [rdi], rcx
    {{0xf0, 0x48, 0x0f, 0xc1, 0x07}, StoreOp::kXadd, 8, 0},
    {{0x48, 0x01, 0x07}, StoreOp::kAdd, 8, 0},
    {{0xf0, 0x48, 0x09, 0x07}, StoreOp::kOr, 8, 0},
    {{0x48, 0x21, 0x07}, StoreOp::kAnd, 8, 0},
    {{0x48, 0x29, 0x07}, StoreOp::kSub, 8, 0},
    {{0x48, 0x31, 0x07}, StoreOp::kXor, 8, 0},
    {{0xf0, 0x48, 0x83, 0x0f, 0x20}, StoreOp::kOr, 8, 0, true, 0x20},      // lock or [rdi], 20h
    {{0xf0, 0x48, 0x83, 0x27, 0xfd}, StoreOp::kAnd, 8, 0, true, ~u64{2}},  // lock and [rdi], ~2
    {{0x48, 0x81, 0x07, 0, 0x10, 0, 0}, StoreOp::kAdd, 8, 0, true, 0x1000},
    {{0x48, 0x83, 0x2f, 0x01}, StoreOp::kSub, 8, 0, true, 1},
    {{0x48, 0x83, 0x37, 0x01}, StoreOp::kXor, 8, 0, true, 1},
    {{0xf0, 0x48, 0x0f, 0xab, 0x07}, StoreOp::kBts, 8, 0},
    {{0xf0, 0x48, 0x0f, 0xb3, 0x07}, StoreOp::kBtr, 8, 0},
    {{0x48, 0x0f, 0xbb, 0x07}, StoreOp::kBtc, 8, 0},
    {{0xf0, 0x48, 0x0f, 0xba, 0x2f, 0x3f}, StoreOp::kBts, 8, 0, true, 0x3f},
    {{0xf0, 0x48, 0x0f, 0xba, 0x37, 0x01}, StoreOp::kBtr, 8, 0, true, 1},
    {{0x48, 0x0f, 0xba, 0x3f, 0x05}, StoreOp::kBtc, 8, 0, true, 5},
    {{0x66, 0x48, 0x89, 0x07}, StoreOp::kMov, 8, 0},  // REX.W outranks 66
};

TEST(ShadowStoreDecode, TheFormsOfATableStore) {
  for (const Row& row : kRows) {
    // What follows the instruction does not matter, and a cut-off one does not decode.
    std::vector<u8> code = row.bytes;
    code.insert(code.end(), {0xcc, 0xcc});
    const auto store = decode_store(InstructionBytes(code));
    ASSERT_TRUE(store) << &row - kRows;
    EXPECT_EQ(store->op, row.op) << &row - kRows;
    EXPECT_EQ(store->operand_bytes, row.operand_bytes) << &row - kRows;
    EXPECT_EQ(store->length_bytes, row.bytes.size()) << &row - kRows;
    EXPECT_EQ(store->has_immediate, row.has_immediate) << &row - kRows;
    if (row.has_immediate) {
      EXPECT_EQ(store->immediate, row.immediate) << &row - kRows;
    } else {
      EXPECT_EQ(store->register_index, row.register_index) << &row - kRows;
    }
    for (std::size_t length = 0; length < row.bytes.size(); ++length) {
      EXPECT_FALSE(decode_store(InstructionBytes(std::span(row.bytes).first(length))))
          << &row - kRows << " cut to " << length;
    }
  }
}

TEST(ShadowStoreDecode, WhatIsLeftToTheProcessor) {
  const std::vector<u8> others[] = {
      {0xf3, 0x48, 0xab},              // rep stosq
      {0x48, 0xab},                    // stosq
      {0x48, 0xa5},                    // movsq
      {0x48, 0x89, 0xc7},              // mov rdi, rax
      {0x48, 0x8b, 0x07},              // a load
      {0x66, 0x89, 0x07},              // 16 bits
      {0x88, 0x07},                    // 8 bits
      {0x48, 0x83, 0x3f, 0x00},        // cmp
      {0x48, 0x83, 0x17, 0x00},        // adc
      {0x48, 0xc7, 0xc0, 0, 0, 0, 0},  // mov rax, imm
      {0x48, 0xc7, 0x0f, 0, 0, 0, 0},  // reserved digit
      {0x48, 0x0f, 0xba, 0x27, 0x05},  // bt
      {0x50},                          // push
      {0x0f, 0x29, 0x07},              // movaps
      {0x48, 0x48, 0x89},              // cut off behind two prefixes
      {},
  };
  for (const auto& code : others) EXPECT_FALSE(decode_store(InstructionBytes(code))) << &code - others;
  const std::vector<u8> endless(64, 0xf0);
  EXPECT_FALSE(decode_store(InstructionBytes(endless)));
}

TEST(ShadowStoreExecute, AsTheProcessor) {
  using Execute = nopte::testing::Executed (*)(u64, u64, u64, u64);
  namespace native = nopte::testing;
  struct {
    StoreOp op;
    Execute wide, narrow;
    bool bit = false;
    u64 undefined_flags = 0;
  } const rows[] = {
      {StoreOp::kMov, native::mov_64, native::mov_32},
      {StoreOp::kXchg, native::xchg_64, native::xchg_32},
      {StoreOp::kCmpxchg, native::cmpxchg_64, native::cmpxchg_32},
      {StoreOp::kXadd, native::xadd_64, native::xadd_32},
      {StoreOp::kAdd, native::add_64, native::add_32},
      {StoreOp::kSub, native::sub_64, native::sub_32},
      {StoreOp::kOr, native::or__64, native::or__32, false, 0x10},
      {StoreOp::kAnd, native::and__64, native::and__32, false, 0x10},
      {StoreOp::kXor, native::xor__64, native::xor__32, false, 0x10},
      {StoreOp::kBts, native::bts_64, native::bts_32, true, 0x8d4},
      {StoreOp::kBtr, native::btr_64, native::btr_32, true, 0x8d4},
      {StoreOp::kBtc, native::btc_64, native::btc_32, true, 0x8d4},
  };
  constexpr u64 kArithmeticFlags = 0x8d5;
  const u64 nasty[] = {0, 1, 0x7f, 0x80, 0xffff'ffff, 0x8000'0000, 0x7fff'ffff, ~u64{0}, u64{1} << 63, 0x67};
  std::mt19937_64 random(11);
  for (const auto& row : rows) {
    for (int i = 0; i < 4000; ++i) {
      const auto value = [&] { return random() % 2 ? nasty[random() % std::size(nasty)] : random(); };
      const bool wide = random() % 2;
      const u64 memory = value(), flags = 0x202 | (random() & kArithmeticFlags);
      const u64 rax = random() % 2 ? memory : value();
      const u64 source = row.bit ? random() % (wide ? 64 : 32) : value();
      const auto expected = (wide ? row.wide : row.narrow)(memory, source, rax, flags);
      const StoreInstruction store{.op = row.op,
                                   .operand_bytes = static_cast<u8>(wide ? 8 : 4),
                                   .length_bytes = 3,
                                   .register_index = 6,
                                   .has_immediate = false,
                                   .immediate = 0,
                                   .memory = {}};
      const StoreEffect effect = execute_store(store, memory, source, rax, flags);
      const u64 mask = wide ? ~u64{0} : 0xffff'ffff;
      const u64 got_memory = (memory & ~mask) | effect.memory;
      EXPECT_EQ(got_memory, expected.memory);
      const u64 got_source =
          effect.loads_register && effect.register_index == 6 ? effect.register_value : source;
      const u64 got_rax = effect.loads_register && effect.register_index == 0 ? effect.register_value : rax;
      EXPECT_EQ(got_source, expected.source);
      EXPECT_EQ(got_rax, expected.rax);
      EXPECT_EQ(effect.rflags & ~row.undefined_flags, expected.rflags & ~row.undefined_flags);
      ASSERT_FALSE(HasFailure()) << "operation " << &row - rows << " wide " << wide << std::hex << " memory "
                                 << memory << " source " << source << " rax " << rax << " flags " << flags;
    }
  }
}

}  // namespace
}  // namespace nopte::hv
