#include "experiments/profiler/table.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace profiler {
namespace {

constexpr uint64_t kImage = 0xffffffff80100000;

class TableTest : public testing::Test {
 protected:
  TableTest() {
    for (const char* name : {"one", "two"}) {
      files_.push_back(testing::TempDir() + "profiler_table_" + name);
      std::ofstream(files_.back(), std::ios::binary) << "head" << name << "-bytes-of-code";
    }
  }
  ~TableTest() override {
    for (const std::string& file : files_) std::remove(file.c_str());
  }
  std::string read(const std::string& text) {
    std::istringstream lines(text);
    return table_.read(lines);
  }
  void read_all() {
    ASSERT_EQ(read("hypervisor 100000 180000\n"
                   "image hypervisor\n"
                   "function ffffffff80100020 ffffffff80100040 10 vector=14\n"
                   "image kernel\n"
                   "function ffffffff80100080 ffffffff80100090 12 mark\n"
                   "function ffffffff80100020 ffffffff80100030 11 switch\n"
                   "function ffffffff80100030 ffffffff80100040 13 start\n"
                   "program " +
                   files_[0] +
                   "\n"
                   "segment 401000 4 11\n"
                   "function 401000 401008 20\n"
                   "program " +
                   files_[1] +
                   "\n"
                   "segment 401000 4 11\n"
                   "function 401000 401011 30 whole\n"),
              "");
  }
  Place program(uint64_t address, std::string_view code) {
    return table_.find(address, 0x5000, {reinterpret_cast<const uint8_t*>(code.data()), code.size()});
  }

  std::vector<std::string> files_;
  Table table_;
};

TEST_F(TableTest, AHostHasWhatIsNotBelowAVmrun) {
  read_all();
  EXPECT_FALSE(table_.has_host());
  EXPECT_EQ(read("host\nimage hypervisor\nfunction 401000 401008 40\n"), "");
  EXPECT_TRUE(table_.has_host());
  const Place known = table_.find_in_host(0x401004);
  EXPECT_EQ(known.world, World::kHypervisor);
  EXPECT_EQ(known.entry.function, 40u);
  EXPECT_EQ(table_.find_in_host(0x402000).entry.function, kUnknownHypervisor);
  // The same address of the guest's is a program's.
  EXPECT_EQ(program(0x401000, "one-bytes").world, World::kProgram);
}

TEST_F(TableTest, ImagesOfOneAddressAreToldApartByWhereTheyLie) {
  read_all();
  const Place hypervisor = table_.find(kImage + 0x20, 0x100020, {});
  EXPECT_EQ(hypervisor.world, World::kHypervisor);
  EXPECT_EQ(hypervisor.entry.function, 10U);
  EXPECT_EQ(hypervisor.entry.vector, 14);
  const Place kernel = table_.find(kImage + 0x20, 0x900020, {});
  EXPECT_EQ(kernel.world, World::kKernel);
  EXPECT_EQ(kernel.entry.function, 11U);
  EXPECT_TRUE(kernel.entry.is_switch);
  EXPECT_EQ(kernel.entry.vector, -1);
}

TEST_F(TableTest, AHypervisorAtRing0IsKnownByItsAddresses) {
  ASSERT_EQ(read("ring0 ffff800000000000 ffff880000000000\n"
                 "image hypervisor\n"
                 "function ffff82d040201940 ffff82d04020194c 10 vector=14\n"
                 "image kernel\n"
                 "function ffffffff80100020 ffffffff80100030 11 bounce\n"),
            "");
  const Place fault = table_.find(0xffff82d040201940, 0x900000, {});
  EXPECT_EQ(fault.world, World::kRing0);
  EXPECT_EQ(fault.entry.function, 10U);
  EXPECT_EQ(fault.entry.vector, 14);
  const Place unnamed = table_.find(0xffff87ffffffffff, 0x900000, {});
  EXPECT_EQ(unnamed.world, World::kRing0);
  EXPECT_EQ(unnamed.entry.function, kUnknownHypervisor);
  EXPECT_EQ(table_.find(0xffff880000000000, 0x900000, {}).world, World::kKernel);
  EXPECT_TRUE(table_.find(kImage + 0x20, 0x900000, {}).entry.is_bounce);
}

TEST_F(TableTest, FunctionsEndWhereTheyEnd) {
  read_all();
  EXPECT_TRUE(table_.find(kImage + 0x3f, 0x900000, {}).entry.is_start);
  EXPECT_EQ(table_.find(kImage + 0x40, 0x900000, {}).entry.function, kUnknownKernel);
  EXPECT_TRUE(table_.find(kImage + 0x80, 0x900000, {}).entry.is_mark);
  EXPECT_EQ(table_.find(kImage, 0x900000, {}).entry.function, kUnknownKernel);
  EXPECT_EQ(table_.find(kImage + 0x50, 0x100050, {}).entry.function, kUnknownHypervisor);
}

TEST_F(TableTest, ProgramsOfOneAddressAreToldApartByTheirBytes) {
  read_all();
  EXPECT_EQ(program(0x401000, "one").entry.function, 20U);
  EXPECT_EQ(program(0x401000, "one").program, 1U);
  EXPECT_EQ(program(0x401000, "two").entry.function, 30U);
  EXPECT_TRUE(program(0x401000, "two").entry.whole);
  // Both hold these: it is the one that ran last.
  EXPECT_EQ(program(0x401003, "-bytes").program, 2U);
  program(0x401000, "one");
  EXPECT_EQ(program(0x401003, "-bytes").program, 1U);
  // Inside of no function.
  EXPECT_EQ(program(0x401009, "-of").entry.function, kUnknownProgram);
}

TEST_F(TableTest, WhatIsNowhereIsUnknown) {
  read_all();
  EXPECT_EQ(program(0x401000, "six").entry.function, kUnknownProgram);
  EXPECT_EQ(program(0x401000, "six").world, World::kProgram);
  EXPECT_EQ(program(0x402000, "one").entry.function, kUnknownProgram);
  EXPECT_EQ(program(0x40100f, "de and more").program, 0U);
  EXPECT_EQ(table_.find(0x7000, 0x7000, {}).entry.function, kUnknownFirmware);
}

TEST_F(TableTest, BadLinesAreSaid) {
  EXPECT_NE(read("nonsense\n"), "");
  EXPECT_NE(read("function 1 2 3\n"), "");  // of nothing
  EXPECT_NE(read("hypervisor 1\n"), "");
  EXPECT_NE(read("image kernel\nfunction 1 2\n"), "");
  EXPECT_NE(read("image kernel\nfunction 1 2 3 odd\n"), "");
  EXPECT_NE(read("program /nonexistent/file\nsegment 1 2 3\n"), "");
  EXPECT_NE(read("program " + files_[0] + "\nsegment 401000 4 1000\n"), "");
}

}  // namespace
}  // namespace profiler
