#include "guest-mm/kernel/tty/line_discipline.h"

#include "guest-mm/kernel/tty/characters.h"

namespace nopte::guest::tty {

namespace {
constexpr i32 kInterrupt = 2, kQuitSignal = 3, kStopSignal = 20;
constexpr u8 kMark = 0xff;  // what PARMRK doubles
}  // namespace

void LineDiscipline::set_termios(const Termios& termios) {
  const u32 changed = (termios_.local ^ termios.local) & (Termios::kCanonical | Termios::kExternal);
  termios_ = termios;
  if (changed == 0) {
    return;
  }
  for (u32 i = 0; i < used_; ++i) {
    cell(i) &= 0xff;
  }
  erasing_ = literal_next_ = false;
  line_begin_ = 0;
  if (canonical() && used_ != 0) {
    cell(used_ - 1) |= byte_at(used_ - 1) == 0 ? kLineEnd | kEndOfFile : kLineEnd;
    line_begin_ = used_;
  }
}

void LineDiscipline::push_input(u8 byte) {
  if (byte == kMark && input(Termios::kMarkParity)) {
    push(byte);
  }
  push(byte);
}

void LineDiscipline::end_line(u32 value) {
  push(value | kLineEnd);
  line_begin_ = used_;
}

bool LineDiscipline::handle_signal(u8 byte, TerminalSink& sink) {
  const i32 signal = is(byte, Termios::kIntr)   ? kInterrupt
                     : is(byte, Termios::kQuit) ? kQuitSignal
                     : is(byte, Termios::kSusp) ? kStopSignal
                                                : 0;
  if (signal == 0) {
    return false;
  }
  sink.raise(signal);
  if (!local(Termios::kNoFlush)) {
    flush_input();
    echo_used_ = 0;
    sink.input_flushed();
  }
  if (input(Termios::kFlowControl)) {
    sink.start_output();
  }
  if (local(Termios::kEcho)) {
    echo(byte, sink);
  }
  return true;
}

bool LineDiscipline::handle_canonical(u8 byte, TerminalSink& sink) {
  const bool extended = local(Termios::kExtended);
  if (is(byte, Termios::kErase)) {
    erase(Erase::kCharacter, sink);
  } else if (is(byte, Termios::kKill)) {
    erase(Erase::kLine, sink);
  } else if (extended && is(byte, Termios::kWordErase)) {
    erase(Erase::kWord, sink);
  } else if (extended && is(byte, Termios::kLiteralNext)) {
    literal_next_ = true;
    if (local(Termios::kEcho)) {
      finish_erasing(sink);
      if (local(Termios::kEchoControl)) {
        echo_raw('^', sink);
        echo_raw('\b', sink);
      }
    }
  } else if (extended && is(byte, Termios::kReprint) && local(Termios::kEcho)) {
    finish_erasing(sink);
    echo(byte, sink);
    echo_raw('\n', sink);
    reprint(sink);
  } else if (byte == '\n') {
    if (local(Termios::kEcho | Termios::kEchoNl)) {
      echo_raw(byte, sink);
    }
    end_line(byte);
  } else if (is(byte, Termios::kEof)) {
    end_line(kEndOfFile);
  } else if (is(byte, Termios::kEol) || (extended && is(byte, Termios::kEol2))) {
    if (local(Termios::kEcho)) {
      note_line_column();
      echo(byte, sink);
    }
    if (byte == kMark && input(Termios::kMarkParity)) {
      push(byte);
    }
    end_line(byte);
  } else {
    return false;
  }
  return true;
}

void LineDiscipline::receive_plain(u8 byte, TerminalSink& sink) {
  if (local(Termios::kEcho)) {
    finish_erasing(sink);
    note_line_column();
    echo(byte, sink);
  }
  push_input(byte);
}

bool LineDiscipline::receive(u8 byte, TerminalSink& sink) {
  const u32 needed = input(Termios::kMarkParity) ? 3 : 1;
  if (used_ + needed >= kBufferBytes) {
    if (!canonical() || line_begin_ != 0) {
      return false;
    }
    if (used_ == kBufferBytes) {
      --used_;
    }
  }
  if (input(Termios::kStrip)) {
    byte &= 0x7f;
  }
  if (input(Termios::kToLower) && local(Termios::kExtended)) {
    byte = to_lower(byte);
  }
  if (literal_next_) {
    literal_next_ = false;
    receive_plain(byte, sink);
    return true;
  }
  if (local(Termios::kExternal)) {
    push(byte);
    return true;
  }
  if (input(Termios::kFlowControl)) {
    if (is(byte, Termios::kStart)) {
      sink.start_output();
      return true;
    }
    if (is(byte, Termios::kStop)) {
      sink.stop_output();
      return true;
    }
  }
  if (local(Termios::kSignals) && handle_signal(byte, sink)) {
    return true;
  }
  if (input(Termios::kFlowControl) && input(Termios::kAnyStarts)) {
    sink.start_output();
  }
  bool made_newline = false;
  if (byte == '\r') {
    if (input(Termios::kIgnoreCr)) {
      return true;
    }
    made_newline = input(Termios::kCrToNl);
    byte = made_newline ? '\n' : byte;
  } else if (byte == '\n' && input(Termios::kNlToCr)) {
    byte = '\r';
  }
  if (!canonical() || !handle_canonical(byte, sink)) {
    if (made_newline) {
      if (local(Termios::kEcho)) {
        finish_erasing(sink);
        echo_raw(byte, sink);
      }
      push(byte);
    } else {
      receive_plain(byte, sink);
    }
  }
  return true;
}

bool LineDiscipline::readable() const {
  const u8 least = termios_.characters[Termios::kTime] == 0 ? termios_.characters[Termios::kMin] : 0;
  return has_input() && (by_line() || used_ >= least);
}

u32 LineDiscipline::readable_bytes() const {
  const u32 cells = available();
  u32 bytes = cells;
  if (by_line()) {
    for (u32 i = 0; i < cells; ++i) {
      bytes -= (cell(i) & kEndOfFile) != 0 ? 1 : 0;
    }
  }
  return bytes;
}

LineDiscipline::Read LineDiscipline::peek(char* out, u32 capacity) const {
  const u32 end = available();
  Read read{0, 0, false};
  while (read.cells < end && !read.at_end) {
    const Cell at = cell(read.cells);
    // An end-of-file mark goes with the bytes before it, even when these fill the buffer.
    if (!(at & kEndOfFile)) {
      if (read.bytes == capacity) {
        return read;
      }
      out[read.bytes++] = static_cast<char>(at);
    }
    ++read.cells;
    read.at_end = by_line() && (at & kLineEnd);
  }
  read.at_end = read.at_end || read.cells == end;
  return read;
}

void LineDiscipline::consume(u32 cells) {
  begin_ = (begin_ + cells) % kBufferBytes;
  used_ -= cells;
  line_begin_ -= cells < line_begin_ ? cells : line_begin_;
}

void LineDiscipline::flush_input() {
  begin_ = used_ = line_begin_ = 0;
  erasing_ = literal_next_ = false;
}

}  // namespace nopte::guest::tty
