// The stack of a new program, read as the program would read it.
#include "guest-mm/kernel/program/initial_stack.h"

#include <absl/container/btree_map.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "guest-mm/core/space_limits.h"
#include "tests/support/fake_arch.h"
#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
namespace {

constexpr Gva kTop{0x7fff'ffff'0000};

class InitialStackTest : public testing::Test {
 protected:
  // One for all, as the staging area is kept from test to test.
  static void SetUpTestSuite() { shared_mm = std::make_unique<test::FakeMmOps>(); }
  static void TearDownTestSuite() { shared_mm.reset(); }

  static inline std::unique_ptr<test::FakeMmOps> shared_mm;
  test::FakeMmOps& mm = *shared_mm;
  test::FakeArch arch{mm};
};

// Reads the staged image by the addresses that it will have.
class Reader {
 public:
  explicit Reader(const InitialStack& stack) : stack_(stack), at_(stack.begin) {}
  u64 word() {
    u64 value;
    std::memcpy(&value, place(at_.value()), sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::vector<std::string> strings() {
    std::vector<std::string> found;
    while (const u64 address = word()) {
      found.emplace_back(place(address));
    }
    return found;
  }
  const char* place(u64 address) const {
    EXPECT_GE(address, stack_.begin.value());
    EXPECT_LT(address, stack_.begin.value() + stack_.bytes);
    return static_cast<const char*>(stack_.image) + (address - stack_.begin.value());
  }

 private:
  const InitialStack& stack_;
  Gva at_;
};

TEST_F(InitialStackTest, HoldsWhatAProgramExpects) {
  const std::vector<std::string> arguments = {"/bin/program", "", "two words", std::string(5000, 'x')};
  const std::vector<std::string> environment = {"A=1", "PATH=/bin"};
  ProgramArguments staged;
  for (const auto* list : {&arguments, &environment}) {
    for (const std::string& text : *list) {
      ASSERT_TRUE(staged.add(text));
    }
  }
  staged.arguments = arguments.size();
  staged.environment = environment.size();
  const auto stack = stage_initial_stack(staged,
                                         {.program_headers = 0x40'0040,
                                          .program_header_count = 7,
                                          .entry = 0x40'1000,
                                          .interpreter_base = 0x7fff'f6f0'0000},
                                         "/bin/name", kTop);
  ASSERT_TRUE(stack);
  EXPECT_EQ(stack->begin.value() % 16, 0u);
  EXPECT_LT(stack->begin + stack->bytes, kTop);

  Reader reader(*stack);
  EXPECT_EQ(reader.word(), arguments.size());
  EXPECT_EQ(reader.strings(), arguments);
  EXPECT_EQ(reader.strings(), environment);
  absl::btree_map<u64, u64> auxiliary;
  while (const u64 type = reader.word()) {
    EXPECT_TRUE(auxiliary.emplace(type, reader.word()).second) << type;
  }
  EXPECT_EQ(auxiliary[3], 0x40'0040u);
  EXPECT_EQ(auxiliary[4], 56u);
  EXPECT_EQ(auxiliary[5], 7u);
  EXPECT_EQ(auxiliary[6], kPageBytes);
  EXPECT_EQ(auxiliary[7], 0x7fff'f6f0'0000u);
  EXPECT_EQ(auxiliary[9], 0x40'1000u);
  EXPECT_EQ(auxiliary[17], 100u);
  EXPECT_EQ(auxiliary[23], 0u);
  u64 identity[10];
  std::memcpy(identity, static_cast<const char*>(stack->image) + (stack->identity_at - stack->begin),
              sizeof(identity));
  const u64 types[] = {11, 12, 13, 14, 23};
  for (u64 i = 0; i < std::size(types); ++i) {
    EXPECT_EQ(identity[2 * i], types[i]);
    EXPECT_EQ(identity[2 * i + 1], auxiliary[types[i]]);
  }
  EXPECT_STREQ(reader.place(auxiliary[31]), "/bin/name");
  EXPECT_STREQ(reader.place(auxiliary[15]), "x86_64");
  (void)reader.place(auxiliary[25] + 15);
}

TEST_F(InitialStackTest, ArgumentsComeFromTheProgram) {
  const char* strings[] = {"one", "two", "", nullptr};
  ProgramArguments staged;
  const Gva array{reinterpret_cast<u64>(strings)};
  EXPECT_EQ(staged.add_user_array(array).value(), 3u);
  EXPECT_EQ(std::string(staged.data(), staged.bytes()), std::string("one\0two\0\0", 9));
  EXPECT_EQ(staged.add_user_array(array, 2).value(), 1u);
  EXPECT_EQ(staged.add_user_array(Gva{0}).value(), 0u);
}

TEST_F(InitialStackTest, TooMuchIsRefused) {
  const std::string big(ProgramArguments::kLongestString, 'x');
  ProgramArguments staged;
  EXPECT_EQ(staged.add_user(Gva{reinterpret_cast<u64>(big.c_str())}).error(), Status::kLimit);
  const std::string fits(ProgramArguments::kLongestString - 1, 'x');
  u64 taken = 0;
  Result<void> added;
  while ((added = staged.add_user(Gva{reinterpret_cast<u64>(fits.c_str())}))) {
    ++taken;
    ASSERT_LT(taken, 100u);
  }
  EXPECT_EQ(added.error(), Status::kLimit);
  EXPECT_EQ(taken,
            ProgramArguments::most_bytes(SpaceLimits().stack_bytes) / ProgramArguments::kLongestString);
}

TEST_F(InitialStackTest, BadAddressesAreTold) {
  const char* strings[] = {"one", nullptr};
  arch.bad.push_back({Gva{0x1000}, Gva{0x2000}});
  ProgramArguments staged;
  EXPECT_EQ(staged.add_user_array(Gva{0x1000}).error(), Status::kBadAddress);
  strings[0] = reinterpret_cast<const char*>(0x1ff8);
  EXPECT_EQ(staged.add_user_array(Gva{reinterpret_cast<u64>(strings)}).error(), Status::kBadAddress);
}

TEST_F(InitialStackTest, NoMemoryIsTold) {
  mm.forbid_kmem(true);
  const std::string text(100'000, 'x');  // more than an earlier exec left
  ProgramArguments staged;
  EXPECT_EQ(staged.add(text).error(), Status::kNoMemory);
  mm.forbid_kmem(false);
  EXPECT_TRUE(staged.add(text));
}

}  // namespace
}  // namespace nopte::guest
