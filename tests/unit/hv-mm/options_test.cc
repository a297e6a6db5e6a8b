// The command line and the split of memory.
#include "hv-mm/boot/options.h"

#include <gtest/gtest.h>

#include <string>

#include "hv-mm/boot/memory_plan.h"

namespace nopte::hv {
namespace {

constexpr u64 kMib = u64{1} << 20;

std::string error(std::string_view line) {
  const auto options = parse_options(line);
  return options ? "" : options.error();
}

TEST(Options, ReadsModeMemoryAndTheGuestsLine) {
  const auto options = parse_options("mode=vma  memory=1073741824 -- a\x1f-- b");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->mode, Mode::kVma);
  EXPECT_EQ(options->memory_bytes, 1024 * kMib);
  EXPECT_EQ(options->guest_command_line, "-- a\x1f-- b");
  EXPECT_EQ(parse_options("mode=vma memory=8388608 verbose -- a")->guest_command_line, "verbose -- a");
  EXPECT_EQ(parse_options("mode=vma memory=8388608 verbose")->guest_command_line, "verbose");
  EXPECT_EQ(parse_options("mode=vma memory=8388608 aslr=7 -- a")->guest_command_line, "aslr=7 -- a");
  const auto drawn = parse_options("mode=vma memory=8388608 picture -- a");
  EXPECT_EQ(drawn->guest_command_line, "picture -- a");
  EXPECT_TRUE(drawn->offer.pictures);
  EXPECT_TRUE(parse_options("mode=vma memory=8388608 verbose picture -- a")->offer.pictures);
  EXPECT_FALSE(parse_options("mode=vma memory=8388608 verbose -- picture")->offer.pictures);
  EXPECT_EQ(parse_options("memory=8388608 mode=nested")->mode, Mode::kNested);
  EXPECT_EQ(parse_options("memory=8388608 mode=shadow")->guest_command_line, "");
}

TEST(Options, RefusesWhatItDoesNotKnow) {
  EXPECT_NE(error("").find("mode= is missing"), std::string::npos);
  EXPECT_NE(error("mode=nested").find("memory= is missing"), std::string::npos);
  EXPECT_NE(error("mode=native memory=8388608").find("unknown mode"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=8388608 quiet").find("unknown option"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=").find("needs a number"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=8M").find("decimal"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=8388609").find("multiple"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=2097152").find("too little"), std::string::npos);
  EXPECT_NE(error("mode=nested memory=99999999999999999999999").find("too large"), std::string::npos);
}

TEST(Options, HideFeaturesAndTheVersion) {
  const auto plain = parse_options("mode=vma memory=8388608");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->offer.hidden_features, 0u);
  EXPECT_EQ(plain->offer.abi_version, abi::kAbiVersion);
  const auto hidden = parse_options("mode=vma memory=8388608 hide=memory,kvmpv hide=version -- x");
  ASSERT_TRUE(hidden);
  EXPECT_EQ(hidden->offer.hidden_features,
            abi::kFeatureMemory | abi::kFeatureMapFlags | abi::kFeatureResident | abi::kFeatureRegionQueue |
                abi::kFeatureUsage | abi::kFeatureInstalled | abi::kFeatureUntouchedWords |
                abi::kFeatureSpaceSwitch | abi::kFeatureKvmPv);
  EXPECT_EQ(parse_options("mode=vma memory=8388608 hide=queue")->offer.hidden_features,
            abi::kFeatureRegionQueue | abi::kFeatureUntouchedWords);
  EXPECT_EQ(parse_options("mode=vma memory=8388608 hide=words")->offer.hidden_features,
            abi::kFeatureUntouchedWords);
  EXPECT_EQ(parse_options("mode=vma memory=8388608 hide=usage,installed")->offer.hidden_features,
            abi::kFeatureUsage | abi::kFeatureInstalled);
  EXPECT_EQ(hidden->offer.abi_version, 0u);
  EXPECT_EQ(hidden->guest_command_line, "-- x");
  EXPECT_FALSE(parse_options("mode=vma memory=8388608 hide=bogus"));
  EXPECT_FALSE(parse_options("mode=vma memory=8388608 hide=memory,,xen"));
}

TEST(Options, OutputHasABudget) {
  EXPECT_EQ(parse_options("mode=vma memory=8388608")->offer.output_bytes, 1024 * kMib);
  EXPECT_EQ(parse_options("mode=vma memory=8388608 output=0")->offer.output_bytes, 0u);
  EXPECT_EQ(parse_options("output=12345 mode=vma memory=8388608")->offer.output_bytes, 12345u);
  EXPECT_NE(error("mode=vma memory=8388608 output=").find("output= needs a number"), std::string::npos);
  EXPECT_NE(error("mode=vma memory=8388608 output=-1").find("decimal"), std::string::npos);
  EXPECT_NE(error("mode=vma memory=8388608 output=99999999999999999999").find("too large"),
            std::string::npos);
}

TEST(MemoryPlan, PutsTheGuestOnTopOfTheSpanOfTheImage) {
  const PhysicalSpan ram[] = {{0, 640 << 10}, {kMib, 1087 * kMib}};
  const auto plan = plan_memory(ram, {kMib, 300'000}, 3 * kMib, 1024 * kMib);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->guest.begin, 64 * kMib);
  EXPECT_EQ(plan->guest.bytes, 1024 * kMib);
  EXPECT_EQ(plan->own.begin % kPageBytes, 0u);
  EXPECT_GE(plan->own.begin, kMib + 300'000);
  EXPECT_EQ(plan->own.begin + plan->own.bytes, plan->guest.begin);
  EXPECT_EQ(plan->physical_end, 1088 * kMib);
}

TEST(MemoryPlan, UsesAnotherSpanForALargeGuest) {
  const PhysicalSpan ram[] = {{kMib, 2047 * kMib}, {4096 * kMib, 4096 * kMib}};
  const auto plan = plan_memory(ram, {kMib, 300'000}, 3 * kMib, 3072 * kMib);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->guest.begin, 5120 * kMib);
  EXPECT_EQ(plan->own.begin + plan->own.bytes, 2048 * kMib);
}

TEST(MemoryPlan, SaysWhenThereIsTooLittle) {
  const PhysicalSpan ram[] = {{kMib, 1023 * kMib}};
  EXPECT_FALSE(plan_memory(ram, {kMib, 300'000}, 0, 1024 * kMib));
  EXPECT_FALSE(plan_memory(ram, {kMib, 300'000}, 0, 1020 * kMib));
  EXPECT_FALSE(plan_memory(ram, {kMib, 300'000}, 900 * kMib, 512 * kMib));
  EXPECT_FALSE(plan_memory(ram, {kMib, 300'000}, ~u64{0} >> 8, 8 * kMib));
  EXPECT_FALSE(plan_memory({}, {kMib, 300'000}, 0, 8 * kMib));
}

TEST(MemoryPlan, TellsAGapFromTooLittle) {
  const PhysicalSpan ram[] = {{kMib, 3071 * kMib}, {4096 * kMib, 1152 * kMib}};
  const auto plan = plan_memory(ram, {kMib, 300'000}, 3 * kMib, 4096 * kMib);
  ASSERT_FALSE(plan);
  EXPECT_NE(std::string(plan.error()).find("contiguous"), std::string::npos);
}

}  // namespace
}  // namespace nopte::hv
