#include "experiments/profiler/branch.h"

#include <gtest/gtest.h>

#include <vector>

namespace profiler {
namespace {

Branch of(std::vector<uint8_t> bytes) { return classify(bytes); }

TEST(Branch, IsToldByItsBytes) {
  EXPECT_EQ(of({0xe8, 1, 2, 3, 4}), Branch::kCall);
  EXPECT_EQ(of({0xff, 0xd3}), Branch::kCall);              // call *%rbx
  EXPECT_EQ(of({0x41, 0xff, 0xd4}), Branch::kCall);        // call *%r12
  EXPECT_EQ(of({0x41, 0xff, 0x55, 0x10}), Branch::kCall);  // call *16(%r13)
  EXPECT_EQ(of({0xff, 0x15, 1, 2, 3, 4}), Branch::kCall);  // call *x(%rip)
  EXPECT_EQ(of({0xff, 0xe0}), Branch::kNone);              // jmp *%rax
  EXPECT_EQ(of({0xff, 0x33}), Branch::kNone);              // push (%rbx)
  EXPECT_EQ(of({0xe9, 1, 2, 3, 4}), Branch::kNone);
  EXPECT_EQ(of({0xc3}), Branch::kReturn);
  EXPECT_EQ(of({0xf3, 0xc3}), Branch::kReturn);  // repz ret
  EXPECT_EQ(of({0xc2, 8, 0}), Branch::kReturn);
  EXPECT_EQ(of({0x0f, 0x05}), Branch::kSystemCall);
  EXPECT_EQ(of({0x48, 0x0f, 0x07}), Branch::kLeaveKernel);  // sysretq
  EXPECT_EQ(of({0x48, 0xcf}), Branch::kLeaveKernel);        // iretq
  EXPECT_EQ(of({0x0f, 0x01, 0xd8}), Branch::kVmrun);
  EXPECT_EQ(of({0x0f, 0x01, 0xd9}), Branch::kNone);  // vmmcall
  EXPECT_EQ(of({0x0f, 0x31}), Branch::kReadTicks);
  EXPECT_EQ(of({0x0f, 0x01, 0xf9}), Branch::kReadTicks);  // rdtscp
  EXPECT_EQ(of({0x0f}), Branch::kNone);
  EXPECT_EQ(of({0x66}), Branch::kNone);
  EXPECT_EQ(of({}), Branch::kNone);
}

}  // namespace
}  // namespace profiler
