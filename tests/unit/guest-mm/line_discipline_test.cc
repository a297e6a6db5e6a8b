#include "guest-mm/kernel/files/line_discipline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nopte::guest::files {
namespace {

class LineDisciplineTest : public testing::Test, public TerminalSink {
 protected:
  void print(std::string_view text) override { printed += text; }
  void raise(i32 signal) override { raised.push_back(signal); }

  void type(std::string_view text) {
    for (const char c : text) {
      tty.receive(static_cast<u8>(c), *this);
    }
  }
  // One read of at most `capacity` bytes, in pieces of three, as a reader with a small buffer does it.
  std::string read(u32 capacity = 100) {
    std::string text;
    for (;;) {
      char piece[3];
      const LineDiscipline::Read got =
          tty.peek(piece, std::min<u32>(sizeof piece, capacity - static_cast<u32>(text.size())), 0);
      text.append(piece, got.bytes);
      tty.consume(got.cells);
      if (got.at_end || text.size() == capacity) {
        return text;
      }
    }
  }
  void raw() { tty.termios.local &= ~(Termios::kCanonical | Termios::kEcho | Termios::kSignals); }

  LineDiscipline tty;
  std::string printed;
  std::vector<i32> raised;
};

TEST_F(LineDisciplineTest, ALineIsReadableWhenItIsWhole) {
  type("hel");
  EXPECT_FALSE(tty.ready());
  type("lo\rmore");
  EXPECT_TRUE(tty.ready());
  EXPECT_EQ(printed, "hello\r\nmore");
  EXPECT_EQ(read(), "hello\n");
  EXPECT_FALSE(tty.ready());
  type("\n");
  EXPECT_EQ(read(), "more\n");
}

TEST_F(LineDisciplineTest, AReadTakesOneLineOrAPartOfIt) {
  type("one\ntwo\n");
  EXPECT_EQ(tty.available(), 8u);
  EXPECT_EQ(read(2), "on");
  EXPECT_EQ(read(), "e\n");
  EXPECT_EQ(read(), "two\n");
}

TEST_F(LineDisciplineTest, EraseKillAndWordErase) {
  type(
      "abx\x7f"
      "c\n");
  EXPECT_EQ(read(), "abc\n");
  EXPECT_EQ(printed, "abx\b \bc\r\n");
  printed.clear();
  type(
      "\x7f\x7f"
      "gone\x15ok\n");
  EXPECT_EQ(read(), "ok\n");
  EXPECT_EQ(printed, "gone\b \b\b \b\b \b\b \bok\r\n");
  type("first second  \x17third\n");
  EXPECT_EQ(read(), "first third\n");
  printed.clear();
  type("\x01\x7f\n");
  EXPECT_EQ(printed, "^A\b \b\b \b\r\n");
}

TEST_F(LineDisciplineTest, ErasingStopsAtTheEndOfALine) {
  type("line\n\x7f\x15next\n");
  EXPECT_EQ(read(), "line\n");
  EXPECT_EQ(read(), "next\n");
}

TEST_F(LineDisciplineTest, EndOfFile) {
  type("\x04");
  EXPECT_TRUE(tty.ready());
  EXPECT_EQ(read(), "");
  type("part\x04rest\n");
  EXPECT_EQ(read(), "part");
  EXPECT_EQ(read(), "rest\n");
}

TEST_F(LineDisciplineTest, SignalsFlushTheInput) {
  type("half\x03");
  EXPECT_EQ(raised, (std::vector<i32>{2}));
  EXPECT_EQ(printed, "half^C");
  type("x\n");
  EXPECT_EQ(read(), "x\n");
  type("\x1c\x1a");
  EXPECT_EQ(raised, (std::vector<i32>{2, 3, 20}));
  tty.termios.local &= ~Termios::kSignals;
  type("\x03\n");
  EXPECT_EQ(read(), "\x03\n");
}

TEST_F(LineDisciplineTest, RawModeGivesEveryByteAtOnce) {
  raw();
  type("a\x7f\x03\x04");
  EXPECT_TRUE(tty.ready());
  EXPECT_EQ(read(), "a\x7f\x03\x04");
  EXPECT_TRUE(raised.empty());
  EXPECT_EQ(printed, "");
  tty.termios.input &= ~Termios::kCrToNl;
  type("\r");
  EXPECT_EQ(read(), "\r");
  tty.termios.characters[Termios::kMin] = 3;
  type("ab");
  EXPECT_FALSE(tty.ready());
  type("c");
  EXPECT_TRUE(tty.ready());
}

TEST_F(LineDisciplineTest, AHalfLineBecomesReadableInRawMode) {
  type("half");
  raw();
  EXPECT_EQ(read(), "half");
}

TEST_F(LineDisciplineTest, AFullBufferStillTakesTheEndOfTheLine) {
  type(std::string(2 * LineDiscipline::kBufferBytes, 'x'));
  EXPECT_FALSE(tty.ready());
  type("\n");
  EXPECT_TRUE(tty.ready());
  EXPECT_EQ(read(5000), std::string(LineDiscipline::kBufferBytes - 1, 'x') + "\n");
  for (int i = 0; i < 3000; ++i) {
    type("again\n");
    ASSERT_EQ(read(), "again\n");
  }
}

TEST_F(LineDisciplineTest, OutputProcessing) {
  char out[32];
  EXPECT_EQ(std::string(out, tty.process_output("a\nb\r\n", out)), "a\r\nb\r\r\n");
  tty.termios.output = 0;
  EXPECT_EQ(std::string(out, tty.process_output("a\nb", out)), "a\nb");
}

}  // namespace
}  // namespace nopte::guest::files
