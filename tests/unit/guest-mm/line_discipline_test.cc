#include "guest-mm/kernel/tty/line_discipline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nopte::guest::tty {
namespace {

class LineDisciplineTest : public testing::Test, public TerminalSink {
 protected:
  void print(std::string_view text) override { printed += text; }
  void raise(i32 signal) override { raised.push_back(signal); }
  void stop_output() override { stopped = true; }
  void start_output() override { stopped = false; }
  void input_flushed() override { ++flushes; }

  void type(std::string_view text) {
    for (const char c : text) {
      refused += tty.receive(static_cast<u8>(c), *this) ? 0 : 1;
    }
    tty.flush_echo(*this);
  }
  // One read of at most `capacity` bytes, in pieces of three, as a reader with a small buffer does it.
  std::string read(u32 capacity = 100) {
    std::string text;
    for (;;) {
      char piece[3];
      const LineDiscipline::Read got =
          tty.peek(piece, std::min<u32>(sizeof piece, capacity - static_cast<u32>(text.size())));
      text.append(piece, got.bytes);
      tty.consume(got.cells);
      if (got.at_end || text.size() == capacity) {
        return text;
      }
    }
  }
  template <class Change>
  void set(Change change) {
    Termios termios = tty.termios();
    change(termios);
    tty.set_termios(termios);
  }
  void raw() {
    set([](Termios& t) { t.local &= ~(Termios::kCanonical | Termios::kEcho | Termios::kSignals); });
  }
  std::string written(std::string_view text, u64 room = 100) {
    std::string out(room, '?');
    const LineDiscipline::Written done = tty.process_output(text, {out.data(), out.size()});
    taken = done.taken;
    return out.substr(0, done.bytes);
  }

  LineDiscipline tty;
  std::string printed;
  std::vector<i32> raised;
  bool stopped = false;
  int flushes = 0;
  int refused = 0;
  u64 taken = 0;
};

TEST_F(LineDisciplineTest, ALineIsReadableWhenItIsWhole) {
  type("hel");
  EXPECT_FALSE(tty.readable());
  type("lo\rmore");
  EXPECT_TRUE(tty.readable());
  EXPECT_EQ(printed, "hello\r\nmore");
  EXPECT_EQ(read(), "hello\n");
  EXPECT_FALSE(tty.readable());
  type("\n");
  EXPECT_EQ(read(), "more\n");
}

TEST_F(LineDisciplineTest, AReadTakesOneLineOrAPartOfIt) {
  type("one\ntwo\n");
  EXPECT_EQ(tty.readable_bytes(), 8u);
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
  EXPECT_TRUE(tty.readable());
  EXPECT_EQ(read(), "");
  type("part\x04rest\n");
  EXPECT_EQ(read(), "part");
  EXPECT_EQ(read(), "rest\n");
}

TEST_F(LineDisciplineTest, SignalsFlushTheInput) {
  type("half\x03");
  EXPECT_EQ(raised, (std::vector<i32>{2}));
  EXPECT_EQ(printed, "^C");  // what is not printed yet is taken away
  type("x\n");
  EXPECT_EQ(read(), "x\n");
  type("\x1c\x1a");
  EXPECT_EQ(raised, (std::vector<i32>{2, 3, 20}));
  set([](Termios& t) { t.local &= ~Termios::kSignals; });
  type("\x03\n");
  EXPECT_EQ(read(), "\x03\n");
}

TEST_F(LineDisciplineTest, RawModeGivesEveryByteAtOnce) {
  raw();
  type("a\x7f\x03\x04");
  EXPECT_TRUE(tty.readable());
  EXPECT_EQ(read(), "a\x7f\x03\x04");
  EXPECT_TRUE(raised.empty());
  EXPECT_EQ(printed, "");
  set([](Termios& t) { t.input &= ~Termios::kCrToNl; });
  type("\r");
  EXPECT_EQ(read(), "\r");
  set([](Termios& t) { t.characters[Termios::kMin] = 3; });
  type("ab");
  EXPECT_FALSE(tty.readable());
  type("c");
  EXPECT_TRUE(tty.readable());
}

TEST_F(LineDisciplineTest, AHalfLineBecomesReadableInRawMode) {
  type("half");
  raw();
  EXPECT_EQ(read(), "half");
}

TEST_F(LineDisciplineTest, AFullBufferStillTakesTheEndOfTheLine) {
  type(std::string(u64{2} * LineDiscipline::kBufferBytes, 'x'));
  EXPECT_FALSE(tty.readable());
  type("\n");
  EXPECT_TRUE(tty.readable());
  EXPECT_EQ(read(5000), std::string(LineDiscipline::kBufferBytes - 1, 'x') + "\n");
  for (int i = 0; i < 3000; ++i) {
    type("again\n");
    ASSERT_EQ(read(), "again\n");
  }
}

TEST_F(LineDisciplineTest, RawInputWaitsForRoom) {
  raw();
  type(std::string(LineDiscipline::kBufferBytes + 10, 'x'));
  EXPECT_EQ(refused, 11);
  EXPECT_EQ(tty.readable_bytes(), LineDiscipline::kBufferBytes - 1);
  EXPECT_EQ(read(5), "xxxxx");
  type("1234567");
  EXPECT_EQ(refused, 13);
}

TEST_F(LineDisciplineTest, WholeLinesWaitForRoom) {
  for (u32 i = 0; i < LineDiscipline::kBufferBytes; ++i) {
    type("\n");
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(read(), "\n");
  type("\n");
  EXPECT_EQ(refused, 1);
}

TEST_F(LineDisciplineTest, ALineThatFillsTheReadersBufferTakesTheEndOfFileWithIt) {
  type("abc\x04");
  EXPECT_EQ(tty.readable_bytes(), 3u);
  EXPECT_EQ(read(3), "abc");
  EXPECT_FALSE(tty.readable());
}

TEST_F(LineDisciplineTest, AChangeOfModeMakesOneLineOfWhatIsThere) {
  raw();
  type("one\ntwo\nthr");
  set([](Termios& t) { t.local |= Termios::kCanonical; });
  EXPECT_EQ(read(), "one\ntwo\nthr");
  type("a\x04");
  raw();
  EXPECT_EQ(read(), std::string("a\0", 2));
}

TEST_F(LineDisciplineTest, FlowControlIsTheSinks) {
  type("\x13");
  EXPECT_TRUE(stopped);
  type("x\x11");
  EXPECT_FALSE(stopped);
  type("\x13");
  set([](Termios& t) { t.input |= Termios::kAnyStarts; });
  type("y");
  EXPECT_FALSE(stopped);
  type("\x13\x03");
  EXPECT_FALSE(stopped);
  EXPECT_EQ(flushes, 1);
}

TEST_F(LineDisciplineTest, LiteralNextAndReprint) {
  type("a\x16\x03\x16\x7f\x12\n");
  EXPECT_TRUE(raised.empty());
  EXPECT_EQ(printed, "a^\b^C^\b^?^R\r\na^C^?\r\n");
  EXPECT_EQ(read(), "a\x03\x7f\n");
}

TEST_F(LineDisciplineTest, ErasingATabGoesBackToWhereItBegan) {
  written("prompt> ");
  type("ab\t\x7f");
  EXPECT_EQ(printed, "ab\t\b\b\b\b\b\b");
  printed.clear();
  type("\t\t\x7f");
  EXPECT_EQ(printed, "\t\t\b\b\b\b\b\b\b\b");
}

TEST_F(LineDisciplineTest, ACharacterOfSeveralBytesIsErasedAtOnce) {
  set([](Termios& t) { t.input |= Termios::kUtf8; });
  type("a\xc3\xa4\x7f\n");
  EXPECT_EQ(printed, "a\xc3\xa4\b \b\r\n");
  EXPECT_EQ(read(), "a\n");
}

TEST_F(LineDisciplineTest, ErasingAsAPrinterShowsIt) {
  set([](Termios& t) { t.local |= Termios::kEchoPrint; });
  type(
      "abc\x7f\x7f"
      "d\n");
  EXPECT_EQ(printed, "abc\\cb/d\r\n");
  printed.clear();
  set([](Termios& t) { t.local &= ~(Termios::kEchoPrint | Termios::kEchoKillErase); });
  type("x\x15");
  EXPECT_EQ(printed, "x^U\r\n");
}

TEST_F(LineDisciplineTest, OutputProcessing) {
  EXPECT_EQ(written("a\nb\r\n"), "a\r\nb\r\r\n");
  set([](Termios& t) { t.output |= Termios::kExpandTabs; });
  EXPECT_EQ(written("ab\tc\t"), "ab      c       ");
  set([](Termios& t) { t.output = Termios::kPostProcess | Termios::kOutCrToNl | Termios::kToUpper; });
  EXPECT_EQ(written("x\r"), "X\n");
  set([](Termios& t) { t.output = Termios::kPostProcess | Termios::kNoCrAtStart; });
  EXPECT_EQ(written("\r\ry\r"), "\ry\r");
  set([](Termios& t) { t.output = 0; });
  EXPECT_EQ(written("a\nb"), "a\nb");
}

TEST_F(LineDisciplineTest, OutputStopsWhereThereIsNoRoom) {
  EXPECT_EQ(written("0123456789", 10), "012");
  EXPECT_EQ(taken, 3u);
  EXPECT_EQ(written("3", 7), "");
  set([](Termios& t) { t.output = 0; });
  EXPECT_EQ(written("345", 2), "34");
  EXPECT_EQ(taken, 2u);
}

}  // namespace
}  // namespace nopte::guest::tty
