// The terminal's line discipline: how typed bytes become lines and signals, and how written bytes become what
// the console prints. Pure: no device, no process. Follows termios(3) as far as a shell and its line editor
// go: canonical mode with echo, erase, kill, word erase, end of file; raw mode; signals; CR/NL mapping.
#pragma once

#include <array>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::guest::files {

// struct termios of the TCGETS ioctls.
struct Termios {
  enum Control : u8 {
    kIntr,
    kQuit,
    kErase,
    kKill,
    kEof,
    kTime,
    kMin,
    kSwtc,
    kStart,
    kStop,
    kSusp,
    kEol,
    kReprint,
    kDiscard,
    kWordErase,
    kLiteralNext,
    kEol2
  };
  // c_iflag
  static constexpr u32 kIgnoreCr = 0200, kCrToNl = 0400, kNlToCr = 0100, kFlowControl = 02000;
  // c_oflag
  static constexpr u32 kPostProcess = 01, kNlToCrNl = 04;
  // c_lflag
  static constexpr u32 kSignals = 01, kCanonical = 02, kEcho = 010, kEchoErase = 020, kEchoKill = 040,
                       kEchoNl = 0100, kNoFlush = 0200, kEchoControl = 01000, kEchoKillErase = 04000,
                       kExtended = 0100000;

  u32 input = kCrToNl | kFlowControl;
  u32 output = kPostProcess | kNlToCrNl;
  u32 control = 0xbf;  // 38400 baud, 8 bits, receiver on
  u32 local =
      kSignals | kCanonical | kEcho | kEchoErase | kEchoKill | kEchoControl | kEchoKillErase | kExtended;
  u8 line = 0;
  u8 characters[19] = {3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0};
};
static_assert(sizeof(Termios) == 36);

// Where the discipline's effects go.
class TerminalSink {
 public:
  virtual void print(std::string_view text) = 0;
  virtual void raise(i32 signal) = 0;  // to the foreground group

 protected:
  ~TerminalSink() = default;
};

class LineDiscipline {
 public:
  static constexpr u32 kBufferBytes = 4096;

  Termios termios;

  // One typed byte. When the buffer is full it is dropped, except for what ends or edits the line.
  void receive(u8 byte, TerminalSink& sink);
  // Whether a read would answer now: a whole line in canonical mode, else MIN bytes.
  [[nodiscard]] bool ready() const;
  // Bytes that a read could get now (FIONREAD).
  [[nodiscard]] u32 available() const;
  struct Read {
    u32 bytes;    // put into `out`
    u32 cells;    // to consume() once the reader has them; an end-of-file mark is one without a byte
    bool at_end;  // the line (or, raw, the input) ends here
  };
  // Copies without taking away: in canonical mode up to the end of one line. `skip` cells were read already.
  [[nodiscard]] Read peek(char* out, u32 capacity, u32 skip) const;
  void consume(u32 cells);
  void flush_input();

  // Translates output; out has room for twice the bytes. Answers how many were written there.
  u64 process_output(std::string_view text, char* out) const;

 private:
  using Cell = u16;  // the byte, and:
  static constexpr Cell kLineEnd = 0x100;
  static constexpr Cell kEndOfFile = 0x200;

  [[nodiscard]] bool canonical() const { return termios.local & Termios::kCanonical; }
  [[nodiscard]] bool is(u8 byte, Termios::Control which) const {
    return byte != 0 && byte == termios.characters[which];
  }
  [[nodiscard]] Cell& cell(u32 index) { return cells_[(begin_ + index) % kBufferBytes]; }
  [[nodiscard]] Cell cell(u32 index) const { return cells_[(begin_ + index) % kBufferBytes]; }
  void push(Cell value) { cell(used_++) = value; }
  bool handle_signal(u8 byte, TerminalSink& sink);
  bool handle_editing(u8 byte, TerminalSink& sink);
  void echo(u8 byte, TerminalSink& sink) const;
  void erase_one(TerminalSink& sink);
  void print(std::string_view text, TerminalSink& sink) const;

  u32 begin_ = 0;
  u32 used_ = 0;
  u32 line_begin_ = 0;  // cells before it belong to finished lines
  std::array<Cell, kBufferBytes> cells_{};
};

}  // namespace nopte::guest::files
