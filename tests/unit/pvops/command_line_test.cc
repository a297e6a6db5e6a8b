#include <gtest/gtest.h>

#include "pvops/abi/boot_block.h"
#include "pvops/base/command_words.h"

namespace nopte {
namespace {

TEST(CommandWords, AreThoseBeforeTheProgram) {
  EXPECT_TRUE(has_word("picture", "picture"));
  EXPECT_TRUE(has_word("picture -- /bin/true", "picture"));
  EXPECT_TRUE(has_word("verbose picture -- /bin/true", "picture"));
  EXPECT_TRUE(has_word("picture verbose -- /bin/true", "verbose"));
  EXPECT_FALSE(has_word("", "picture"));
  EXPECT_FALSE(has_word("verbose", "picture"));
  EXPECT_FALSE(has_word("-- picture", "picture"));
  EXPECT_FALSE(has_word("verbose -- /bin/echo picture", "picture"));
  EXPECT_FALSE(has_word("pictures -- ", "picture"));
}

TEST(CommandWords, MayHaveAValue) {
  EXPECT_EQ(word_value("aslr=7", "aslr="), "7");
  EXPECT_EQ(word_value("verbose aslr=42 -- /bin/true", "aslr="), "42");
  EXPECT_EQ(word_value("verbose aslr= -- /bin/true", "aslr="), "");
  EXPECT_EQ(word_value("verbose -- aslr=7", "aslr="), std::nullopt);
  EXPECT_EQ(word_value("noaslr=7 --", "aslr="), std::nullopt);
  EXPECT_EQ(word_value("", "aslr="), std::nullopt);
}

TEST(BootBlock, ACommandLineThatCannotBeIsNone) {
  abi::BootBlock block;
  block.command_line[0] = 'a';
  block.command_line_bytes = 1;
  EXPECT_EQ(abi::command_line_of(block), "a");
  block.command_line_bytes = abi::kCommandLineBytes;
  EXPECT_EQ(abi::command_line_of(block).size(), abi::kCommandLineBytes);
  for (const u64 bytes : {abi::kCommandLineBytes + 1, ~u64{0}}) {
    block.command_line_bytes = bytes;
    EXPECT_EQ(abi::command_line_of(block), "");
  }
}

}  // namespace
}  // namespace nopte
