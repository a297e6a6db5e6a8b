// The line discipline of a terminal: how typed bytes become lines and signals, and how written bytes become
// what the device gets. Pure: no device, no process. What it does is that of Linux's N_TTY
// (drivers/tty/n_tty.c, termios(3)), its bounds included: 4096 bytes of input, of which the last place is
// kept for the end of a line.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "guest-mm/kernel/tty/termios.h"

namespace nopte::guest::tty {

// Where the discipline's effects go.
class TerminalSink {
 public:
  virtual void print(std::string_view text) = 0;  // an echo
  virtual void raise(i32 signal) = 0;             // to the foreground group
  virtual void stop_output() = 0;
  virtual void start_output() = 0;
  virtual void input_flushed() = 0;

 protected:
  ~TerminalSink() = default;
};

class LineDiscipline {
 public:
  static constexpr u32 kBufferBytes = 4096;
  static constexpr u32 kMostForOne = 8;  // bytes of output that one byte becomes: a tab's

  [[nodiscard]] const Termios& termios() const { return termios_; }
  // What was typed stays: what becomes canonical is one line, what stops being canonical has none.
  void set_termios(const Termios& termios);

  // One typed byte. False: there is no room until something is read, and nothing happened. A line that has no
  // end yet always takes more: beyond its bound the last byte is replaced.
  // What it shows of them is printed by flush_echo(), which ends a batch of bytes; a key that flushes takes
  // it away.
  [[nodiscard]] bool receive(u8 byte, TerminalSink& sink);
  void flush_echo(TerminalSink& sink);
  // Whether a read finds a line, or, not canonical, a byte.
  [[nodiscard]] bool has_input() const { return available() != 0; }
  // Whether poll(2) says so: not before VMIN bytes unless there is a VTIME.
  [[nodiscard]] bool readable() const;
  // What FIONREAD tells.
  [[nodiscard]] u32 readable_bytes() const;
  struct Read {
    u32 bytes;    // put into `out`
    u32 cells;    // to consume() once the reader has them; an end-of-file mark is one without a byte
    bool at_end;  // the line (or, not canonical, the input) ends here
  };
  // Copies without taking away: at most up to the end of one line.
  [[nodiscard]] Read peek(char* out, u32 capacity) const;
  void consume(u32 cells);
  void flush_input();

  struct Written {
    u64 taken;  // of the text
    u64 bytes;  // put into `out`
  };
  // Translates output, as long as there is room for kMostForOne.
  Written process_output(std::string_view text, std::span<char> out);

  [[nodiscard]] bool canonical() const { return termios_.local & Termios::kCanonical; }

  // How many bytes of lines were looked at again so far. A key may look at the whole line, so that who feeds
  // many bytes stops for the others after kMostAgain.
  static constexpr u64 kMostAgain = 2 * u64{kBufferBytes};
  [[nodiscard]] u64 looked_at() const { return looked_at_; }

 private:
  using Cell = u16;  // the byte, and:
  static constexpr Cell kLineEnd = 0x100;
  static constexpr Cell kEndOfFile = 0x200;

  // Whether reads are line by line.
  [[nodiscard]] bool by_line() const { return canonical() && !local(Termios::kExternal); }
  [[nodiscard]] u32 available() const { return by_line() ? line_begin_ : used_; }
  [[nodiscard]] bool local(u32 flag) const { return termios_.local & flag; }
  [[nodiscard]] bool input(u32 flag) const { return termios_.input & flag; }
  [[nodiscard]] bool output(u32 flag) const { return termios_.output & flag; }
  [[nodiscard]] bool is(u8 byte, Termios::Control which) const {
    return byte != 0 && byte == termios_.characters[which];
  }
  // A byte of a character in UTF-8 that is not its first.
  [[nodiscard]] bool continues(u8 byte) const { return input(Termios::kUtf8) && (byte & 0xc0) == 0x80; }
  [[nodiscard]] Cell& cell(u32 index) { return cells_[(begin_ + index) % kBufferBytes]; }
  [[nodiscard]] Cell cell(u32 index) const { return cells_[(begin_ + index) % kBufferBytes]; }
  [[nodiscard]] u8 byte_at(u32 index) const { return static_cast<u8>(cell(index)); }
  void push(u32 value) {
    if (used_ < kBufferBytes) cell(used_++) = static_cast<Cell>(value);
  }
  void push_input(u8 byte);
  void end_line(u32 value);

  void receive_plain(u8 byte, TerminalSink& sink);
  bool handle_signal(u8 byte, TerminalSink& sink);
  // In canonical mode; false: it is an ordinary byte.
  bool handle_canonical(u8 byte, TerminalSink& sink);

  // line_echo.cc
  enum class Erase : u8 { kCharacter, kWord, kLine };
  void erase(Erase what, TerminalSink& sink);
  void show_erased(u8 byte, u32 first, u32 bytes, Erase what, TerminalSink& sink);
  void erase_tab(TerminalSink& sink);
  void forget_line(TerminalSink& sink);
  void finish_erasing(TerminalSink& sink);
  void reprint(TerminalSink& sink);
  // As it is shown: "^X" for a control character, if so wanted.
  void echo(u8 byte, TerminalSink& sink);
  // Through output processing alone.
  void echo_raw(u8 byte, TerminalSink& sink);
  void echo_text(std::string_view text, TerminalSink& sink);
  void note_line_column();
  u32 process(u8 byte, char* out);

  Termios termios_;
  bool literal_next_ = false;  // VLNEXT came
  bool erasing_ = false;       // between the "\" and "/" of ECHOPRT
  u32 column_ = 0;
  u64 looked_at_ = 0;
  u32 line_column_ = 0;  // where the line that is edited began
  u32 begin_ = 0;
  u32 used_ = 0;
  u32 line_begin_ = 0;  // by line: cells before it belong to finished lines
  u32 echo_used_ = 0;
  std::array<char, 256> echo_;  // not printed yet
  std::array<Cell, kBufferBytes> cells_{};
};

}  // namespace nopte::guest::tty
