#include "guest-mm/kernel/files/line_discipline.h"

namespace nopte::guest::files {

namespace {
constexpr i32 kInterrupt = 2, kQuitSignal = 3, kStopSignal = 20;

bool shown_as_control(u8 byte) { return (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f; }
}  // namespace

void LineDiscipline::print(std::string_view text, TerminalSink& sink) const {
  char out[16];
  sink.print({out, process_output(text, out)});
}

void LineDiscipline::echo(u8 byte, TerminalSink& sink) const {
  if (!(termios.local & Termios::kEcho) &&
      !(byte == '\n' && canonical() && (termios.local & Termios::kEchoNl))) {
    return;
  }
  if (shown_as_control(byte) && (termios.local & Termios::kEchoControl)) {
    const char text[2] = {'^', static_cast<char>(byte ^ 0x40)};
    print({text, 2}, sink);
  } else {
    const char text = static_cast<char>(byte);
    print({&text, 1}, sink);
  }
}

bool LineDiscipline::handle_signal(u8 byte, TerminalSink& sink) {
  if (!(termios.local & Termios::kSignals)) {
    return false;
  }
  const i32 signal = is(byte, Termios::kIntr)   ? kInterrupt
                     : is(byte, Termios::kQuit) ? kQuitSignal
                     : is(byte, Termios::kSusp) ? kStopSignal
                                                : 0;
  if (signal == 0) {
    return false;
  }
  if (!(termios.local & Termios::kNoFlush)) {
    flush_input();
  }
  echo(byte, sink);
  sink.raise(signal);
  return true;
}

void LineDiscipline::erase_one(TerminalSink& sink) {
  const u8 byte = static_cast<u8>(cell(--used_));
  if ((termios.local & (Termios::kEcho | Termios::kEchoErase)) == (Termios::kEcho | Termios::kEchoErase)) {
    print("\b \b", sink);
    if (shown_as_control(byte) && (termios.local & Termios::kEchoControl)) {
      print("\b \b", sink);
    }
  }
}

bool LineDiscipline::handle_editing(u8 byte, TerminalSink& sink) {
  if (is(byte, Termios::kErase)) {
    if (used_ > line_begin_) {
      erase_one(sink);
    }
    return true;
  }
  if (is(byte, Termios::kKill)) {
    while (used_ > line_begin_) {
      erase_one(sink);
    }
    return true;
  }
  if (is(byte, Termios::kWordErase) && (termios.local & Termios::kExtended)) {
    while (used_ > line_begin_ && static_cast<u8>(cell(used_ - 1)) == ' ') {
      erase_one(sink);
    }
    while (used_ > line_begin_ && static_cast<u8>(cell(used_ - 1)) != ' ') {
      erase_one(sink);
    }
    return true;
  }
  return false;
}

void LineDiscipline::receive(u8 byte, TerminalSink& sink) {
  if (handle_signal(byte, sink)) {
    return;
  }
  if ((termios.input & Termios::kFlowControl) && (is(byte, Termios::kStart) || is(byte, Termios::kStop))) {
    return;
  }
  if (byte == '\r') {
    if (termios.input & Termios::kIgnoreCr) {
      return;
    }
    byte = termios.input & Termios::kCrToNl ? '\n' : byte;
  } else if (byte == '\n' && (termios.input & Termios::kNlToCr)) {
    byte = '\r';
  }
  if (!canonical()) {
    if (used_ < kBufferBytes) {
      push(byte);
      line_begin_ = used_;
      echo(byte, sink);
    }
    return;
  }
  if (handle_editing(byte, sink)) {
    return;
  }
  const bool end_of_file = is(byte, Termios::kEof);
  const bool line_end = byte == '\n' || is(byte, Termios::kEol) || end_of_file;
  // The last cell is kept for the end of the line.
  if (used_ >= kBufferBytes - (line_end ? 0 : 1)) {
    return;
  }
  push(static_cast<Cell>(end_of_file ? kEndOfFile | kLineEnd : line_end ? byte | kLineEnd : byte));
  if (!end_of_file) {
    echo(byte, sink);
  }
  if (line_end) {
    line_begin_ = used_;
  }
}

bool LineDiscipline::ready() const {
  if (canonical()) {
    return line_begin_ != 0;
  }
  return used_ != 0 && used_ >= termios.characters[Termios::kMin];
}

u32 LineDiscipline::available() const { return canonical() ? line_begin_ : used_; }

LineDiscipline::Read LineDiscipline::peek(char* out, u32 capacity, u32 skip) const {
  const u32 end = available();
  Read read{0, 0, false};
  while (skip + read.cells < end && read.bytes < capacity && !read.at_end) {
    const Cell at = cell(skip + read.cells);
    ++read.cells;
    if (!(at & kEndOfFile)) {
      out[read.bytes++] = static_cast<char>(at);
    }
    read.at_end = canonical() && (at & kLineEnd);
  }
  read.at_end = read.at_end || skip + read.cells == end;
  return read;
}

void LineDiscipline::consume(u32 cells) {
  begin_ = (begin_ + cells) % kBufferBytes;
  used_ -= cells;
  line_begin_ -= cells < line_begin_ ? cells : line_begin_;
}

void LineDiscipline::flush_input() { begin_ = used_ = line_begin_ = 0; }

u64 LineDiscipline::process_output(std::string_view text, char* out) const {
  constexpr u32 kBoth = Termios::kPostProcess | Termios::kNlToCrNl;
  const bool add_cr = (termios.output & kBoth) == kBoth;
  u64 bytes = 0;
  for (const char c : text) {
    if (c == '\n' && add_cr) {
      out[bytes++] = '\r';
    }
    out[bytes++] = c;
  }
  return bytes;
}

}  // namespace nopte::guest::files
