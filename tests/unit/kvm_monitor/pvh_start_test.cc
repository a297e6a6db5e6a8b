#include "experiments/peers/kvm_monitor/pvh_start.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "pvops/arch/x86_64/pvh_info.h"

namespace kvm_monitor {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A kernel with one segment of "text" at 1 MiB and 16 MiB in memory, and a PVH note with `entry`.
struct Kernel {
  Elf64_Ehdr header{};
  Elf64_Phdr segments[2]{};
  std::string note = bytes_of(Elf64_Nhdr{4, 4, 1}) + "Xen" + '\0' + "abcd";
  std::string text = "text";

  Kernel() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_phoff = sizeof header;
    header.e_phnum = 2;
    note += bytes_of(Elf64_Nhdr{4, 4, 18}) + "Xen" + '\0' + bytes_of(uint32_t{0x100123});
    segments[0] = {PT_LOAD, 0, sizeof header + sizeof segments, 0, kMiB, text.size(), 16 * kMiB, 0};
    segments[1] = {PT_NOTE, 0, segments[0].p_offset + text.size(), 0, 0, note.size(), note.size(), 0};
  }
  [[nodiscard]] std::string file() const {
    return bytes_of(header) + bytes_of(segments[0]) + bytes_of(segments[1]) + text + note;
  }
};

class PvhStartTest : public testing::Test {
 protected:
  std::expected<PvhStart, std::string> load(const Kernel& kernel, std::string_view module = "module",
                                            std::string_view line = "a line") {
    return load_pvh(memory_, kernel.file(), module, line);
  }
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(64 * kMiB);
  GuestMemory memory_{bytes_};
};

// What was put there, read by what our guest reads it with.
TEST_F(PvhStartTest, TheGuestFindsWhatItIsGiven) {
  const auto start = load(Kernel());
  ASSERT_TRUE(start) << start.error();
  EXPECT_EQ(start->entry, 0x100123u);
  EXPECT_EQ(std::memcmp(&bytes_[kMiB], "text", 4), 0);
  const auto info = nopte::read_pvh_info({bytes_.data(), bytes_.size()}, start->start_info);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->command_line, "a line");
  ASSERT_EQ(info->ram_spans, 2u);
  EXPECT_EQ(info->ram[0].begin, 0u);
  EXPECT_EQ(info->ram[1].begin, kMiB);
  EXPECT_EQ(info->ram[1].bytes, 63 * kMiB);
  ASSERT_EQ(info->module.bytes, 6u);
  EXPECT_EQ(info->module.begin % 4096, 0u);
  EXPECT_EQ(std::memcmp(&bytes_[info->module.begin], "module", 6), 0);
}

TEST_F(PvhStartTest, WithoutAModuleThereIsNone) {
  const auto start = load(Kernel(), "");
  ASSERT_TRUE(start) << start.error();
  const auto info = nopte::read_pvh_info({bytes_.data(), bytes_.size()}, start->start_info);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->module.bytes, 0u);
}

TEST_F(PvhStartTest, BadKernelsAreRefusedWithTheReason) {
  const auto refused = [&](auto&& change, std::string_view why) {
    Kernel kernel;
    change(kernel);
    const auto start = load(kernel);
    ASSERT_FALSE(start) << why;
    EXPECT_NE(start.error().find(why), std::string::npos) << start.error();
  };
  refused([](Kernel& kernel) { kernel.header.e_ident[0] = 0; }, "no 64-bit ELF");
  refused([](Kernel& kernel) { kernel.header.e_ident[EI_CLASS] = ELFCLASS32; }, "no 64-bit ELF");
  refused([](Kernel& kernel) { kernel.header.e_phoff = ~uint64_t{0}; }, "ends inside a segment");
  refused([](Kernel& kernel) { kernel.header.e_phnum = 0xffff; }, "");
  refused([](Kernel& kernel) { kernel.segments[0].p_filesz = ~uint64_t{0}; }, "ends inside a segment");
  refused([](Kernel& kernel) { kernel.segments[0].p_paddr = ~uint64_t{0}; }, "does not fit");
  refused([](Kernel& kernel) { kernel.segments[0].p_memsz = ~uint64_t{0}; }, "does not fit");
  refused([](Kernel& kernel) { kernel.segments[0].p_memsz = 1; }, "does not fit");
  refused([](Kernel& kernel) { kernel.segments[1].p_type = PT_NULL; }, "no PVH entry");
  refused([](Kernel& kernel) { kernel.note[0] = kernel.note[4] = static_cast<char>(0xff); }, "no PVH entry");
  refused(
      [](Kernel& kernel) {
        kernel.note.resize(20);
        kernel.segments[1].p_filesz = 20;
      },
      "no PVH entry");
}

TEST_F(PvhStartTest, EveryPrefixOfAKernelIsRefused) {
  const std::string file = Kernel().file();
  for (size_t bytes = 0; bytes < file.size(); ++bytes) {
    EXPECT_FALSE(load_pvh(memory_, std::string_view(file).substr(0, bytes), "", "")) << bytes;
  }
}

TEST_F(PvhStartTest, WhatDoesNotFitIsRefused) {
  EXPECT_FALSE(load(Kernel(), std::string(48 * kMiB, 'm')));
  EXPECT_FALSE(load(Kernel(), "", std::string(4096, 'l')));
  EXPECT_TRUE(load(Kernel(), std::string(47 * kMiB, 'm')));
}

TEST(GuestMemory, LiesAroundTheGapOfAPc) {
  // Never touched: only its size counts.
  uint8_t* nothing = nullptr;
  const GuestMemory small({nothing, 256 * kMiB});
  ASSERT_EQ(small.slots().size(), 1u);
  EXPECT_EQ(small.low_bytes(), 256 * kMiB);
  const GuestMemory large({nothing, 5120 * kMiB});
  ASSERT_EQ(large.slots().size(), 2u);
  EXPECT_EQ(large.low_bytes(), 3072 * kMiB);
  EXPECT_EQ(large.slots()[1].guest, 4096 * kMiB);
  EXPECT_EQ(large.slots()[1].offset, 3072 * kMiB);
  EXPECT_EQ(large.slots()[1].bytes, 2048 * kMiB);
}

TEST(GuestMemory, CopiesAllOrNothing) {
  std::vector<uint8_t> bytes(8192);
  const GuestMemory memory(bytes);
  EXPECT_TRUE(memory.copy_in(8188, "abcd"));
  EXPECT_FALSE(memory.copy_in(8189, "efgh"));
  EXPECT_FALSE(memory.copy_in(~uint64_t{0}, "x"));
  EXPECT_EQ(bytes[8188], 'a');
  EXPECT_EQ(bytes[8191], 'd');
}

}  // namespace
}  // namespace kvm_monitor
