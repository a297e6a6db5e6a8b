// The register form of every call is the inverse of its decoding, and ids do not lose high bits.
#include <absl/container/btree_set.h>
#include <absl/strings/string_view.h>
#include <gtest/gtest.h>

#include "pvops/abi/hypercalls.h"

namespace nopte::abi {
namespace {

TEST(Abi, NumbersAreUnique) {
  absl::btree_set<u64> numbers;
  unsigned calls = 0;
#define NOPTE_ARG(type, name, meaning)
#define NOPTE_HYPERCALL(number, name, args, result, purpose, errors) \
  numbers.insert(number);                                            \
  ++calls;
#include "pvops/abi/hypercalls.def"
  EXPECT_EQ(numbers.size(), calls);
}

TEST(Abi, FeatureBitsAreUnique) {
  absl::btree_set<u64> bits;
  absl::btree_set<absl::string_view> names;
  unsigned features = 0;
#define NOPTE_FEATURE(bit, constant, name, meaning) \
  static_assert((bit) < 64);                        \
  bits.insert(constant);                            \
  names.insert(name);                               \
  ++features;
#include "pvops/abi/features.def"
  EXPECT_EQ(bits.size(), features);
  EXPECT_EQ(names.size(), features);
}

TEST(Abi, RegionMapRoundTrip) {
  const region_map_args in{SpaceId{7}, Gva{0x1234000}, 5, 0xb, ObjectId{9}, 11};
  const Registers registers = encode(in);
  EXPECT_EQ(registers, (Registers{7, 0x1234000, 5, 0xb, 9, 11}));
  region_map_args out;
  ASSERT_TRUE(decode(registers, out));
  EXPECT_EQ(encode(out), registers);
}

TEST(Abi, AnIdWithHighBitsIsNotAnId) {
  space_clone_args out;
  EXPECT_TRUE(decode(Registers{0xffff'ffff}, out));
  EXPECT_FALSE(decode(Registers{0x1'0000'0000}, out));
}

}  // namespace
}  // namespace nopte::abi
