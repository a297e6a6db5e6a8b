// The line discipline: what is shown of the line that is edited, and output processing.
#include <algorithm>

#include "guest-mm/kernel/tty/characters.h"
#include "guest-mm/kernel/tty/line_discipline.h"

namespace nopte::guest::tty {

namespace {

constexpr u32 kTabMask = 7;

}  // namespace

void LineDiscipline::flush_echo(TerminalSink& sink) {
  if (echo_used_ != 0) {
    sink.print({echo_.data(), echo_used_});
    echo_used_ = 0;
  }
}

void LineDiscipline::echo_raw(u8 byte, TerminalSink& sink) {
  if (echo_used_ + kMostForOne > echo_.size()) {
    flush_echo(sink);
  }
  if (output(Termios::kPostProcess)) {
    echo_used_ += process(byte, &echo_[echo_used_]);
  } else {
    echo_[echo_used_++] = static_cast<char>(byte);
  }
}

void LineDiscipline::echo_text(std::string_view text, TerminalSink& sink) {
  for (const char c : text) {
    echo_raw(static_cast<u8>(c), sink);
  }
}

void LineDiscipline::echo(u8 byte, TerminalSink& sink) {
  if (is_control(byte) && byte != '\t' && local(Termios::kEchoControl)) {
    if (echo_used_ + 2 > echo_.size()) {
      flush_echo(sink);
    }
    echo_[echo_used_++] = '^';
    echo_[echo_used_++] = static_cast<char>(byte ^ 0x40);
    column_ += 2;
  } else {
    echo_raw(byte, sink);
  }
}

void LineDiscipline::note_line_column() {
  if (used_ == line_begin_) {
    line_column_ = column_;
  }
}

void LineDiscipline::finish_erasing(TerminalSink& sink) {
  if (erasing_) {
    echo_raw('/', sink);
    erasing_ = false;
  }
}

void LineDiscipline::reprint(TerminalSink& sink) {
  looked_at_ += used_ - line_begin_;
  for (u32 i = line_begin_; i < used_; ++i) {
    echo(byte_at(i), sink);
  }
}

void LineDiscipline::forget_line(TerminalSink& sink) {
  used_ = line_begin_;
  if (local(Termios::kEcho)) {
    finish_erasing(sink);
    echo(termios_.characters[Termios::kKill], sink);
    if (local(Termios::kEchoKill)) {
      echo_raw('\n', sink);
    }
  }
}

// Back over the columns that a tab at used_ took: they depend on what stands before it.
void LineDiscipline::erase_tab(TerminalSink& sink) {
  u32 columns = 0;
  bool after_tab = false;
  looked_at_ += used_ - line_begin_;
  for (u32 i = used_; i-- > line_begin_ && !after_tab;) {
    const u8 before = byte_at(i);
    after_tab = before == '\t';
    if (is_control(before)) {
      columns += !after_tab && local(Termios::kEchoControl) ? 2 : 0;
    } else {
      columns += continues(before) ? 0 : 1;
    }
  }
  columns += after_tab ? 0 : line_column_;
  for (u32 back = kTabMask + 1 - (columns & kTabMask); back > 0; --back) {
    echo_raw('\b', sink);
  }
}

// `bytes` of one character from `first` on are gone, `byte` is its first one.
void LineDiscipline::show_erased(u8 byte, u32 first, u32 bytes, Erase what, TerminalSink& sink) {
  if (local(Termios::kEchoPrint)) {
    if (!erasing_) {
      echo_raw('\\', sink);
      erasing_ = true;
    }
    echo(byte, sink);
    for (u32 i = 1; i < bytes; ++i) {
      echo_raw(byte_at(first + i), sink);
    }
  } else if (what == Erase::kCharacter && !local(Termios::kEchoErase)) {
    echo(termios_.characters[Termios::kErase], sink);
  } else if (byte == '\t') {
    erase_tab(sink);
  } else {
    const u32 columns = !is_control(byte) ? 1 : local(Termios::kEchoControl) ? 2 : 0;
    for (u32 i = 0; i < columns; ++i) {
      echo_text("\b \b", sink);
    }
  }
}

void LineDiscipline::erase(Erase what, TerminalSink& sink) {
  constexpr u32 kKillErases = Termios::kEchoKill | Termios::kEchoKillErase | Termios::kEchoErase;
  if (used_ == line_begin_) {
    return;
  }
  if (what == Erase::kLine && (!local(Termios::kEcho) || (termios_.local & kKillErases) != kKillErases)) {
    return forget_line(sink);
  }
  bool seen_word = false;
  while (used_ > line_begin_) {
    u32 first = used_ - 1;
    while (continues(byte_at(first)) && first > line_begin_) {
      --first;
    }
    const u8 byte = byte_at(first);
    looked_at_ += used_ - first;
    if (continues(byte)) {
      break;
    }
    if (what == Erase::kWord) {
      if (is_of_word(byte)) {
        seen_word = true;
      } else if (seen_word) {
        break;
      }
    }
    const u32 bytes = used_ - first;
    used_ = first;
    if (local(Termios::kEcho)) {
      show_erased(byte, first, bytes, what, sink);
    }
    if (what == Erase::kCharacter) {
      break;
    }
  }
  if (used_ == line_begin_ && local(Termios::kEcho)) {
    finish_erasing(sink);
  }
}

// One byte with output processing; how many it became.
u32 LineDiscipline::process(u8 byte, char* out) {
  switch (byte) {
    case '\n':
      if (output(Termios::kNlReturns)) {
        column_ = 0;
      }
      if (output(Termios::kNlToCrNl)) {
        line_column_ = column_ = 0;
        out[0] = '\r';
        out[1] = '\n';
        return 2;
      }
      line_column_ = column_;
      break;
    case '\r':
      if (output(Termios::kNoCrAtStart) && column_ == 0) {
        return 0;
      }
      if (output(Termios::kOutCrToNl)) {
        byte = '\n';
        if (!output(Termios::kNlReturns)) {
          break;
        }
      }
      line_column_ = column_ = 0;
      break;
    case '\t': {
      const u32 spaces = kTabMask + 1 - (column_ & kTabMask);
      column_ += spaces;
      if ((termios_.output & Termios::kTabDelay) == Termios::kExpandTabs) {
        std::fill_n(out, spaces, ' ');
        return spaces;
      }
      break;
    }
    case '\b':
      column_ -= column_ > 0 ? 1 : 0;
      break;
    default:
      if (!is_control(byte)) {
        byte = output(Termios::kToUpper) ? to_upper(byte) : byte;
        column_ += continues(byte) ? 0 : 1;
      }
  }
  out[0] = static_cast<char>(byte);
  return 1;
}

LineDiscipline::Written LineDiscipline::process_output(std::string_view text, std::span<char> out) {
  if (!output(Termios::kPostProcess)) {
    const u64 bytes = std::min(text.size(), out.size());
    std::copy_n(text.data(), bytes, out.data());
    return {bytes, bytes};
  }
  Written written{0, 0};
  while (written.taken < text.size() && out.size() - written.bytes >= kMostForOne) {
    written.bytes += process(static_cast<u8>(text[written.taken]), out.data() + written.bytes);
    ++written.taken;
  }
  return written;
}

}  // namespace nopte::guest::tty
