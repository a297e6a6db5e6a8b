#include "guest-mm/kernel/tty/terminal.h"

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/tty/job_control.h"

namespace nopte::guest::tty {

bool Terminal::input(u8 byte) {
  if (waiting_.empty() && discipline.receive(byte, *this)) {
    return true;
  }
  const char c = static_cast<char>(byte);
  return waiting_.put({&c, 1}) == 1;
}

void Terminal::input_done() {
  discipline.flush_echo(*this);
  if (discipline.has_input()) {
    wake(changed);
  }
}

void Terminal::input_changed() {
  bool taken = false;
  cut_short_ = false;
  u64 looked_at = discipline.looked_at();
  while (!waiting_.empty() && discipline.receive(static_cast<u8>(waiting_.front()[0]), *this)) {
    waiting_.drop(1);
    taken = true;
    if (discipline.looked_at() - looked_at > LineDiscipline::kMostAgain) {
      discipline.flush_echo(*this);
      give_way();
      if (signal_pending()) {
        cut_short_ = true;
        break;
      }
      looked_at = discipline.looked_at();
    }
  }
  if (taken) {
    discipline.flush_echo(*this);
    input_taken();
  }
  wake(changed);
}

void Terminal::flush_input() {
  waiting_.clear();
  discipline.flush_input();
  input_flushed();
  input_taken();
}

void Terminal::set_termios(Termios termios) {
  termios = with_locks(termios, discipline.termios(), locks);
  if (kind == Kind::kPty) {
    termios.control &= ~(Termios::kSizeMask | Termios::kParity);
    termios.control |= Termios::kEightBits | Termios::kReceiver;
  }
  const Termios before = discipline.termios();
  discipline.set_termios(termios);
  if ((before.input & ~termios.input & Termios::kFlowControl) != 0) {
    start_output();  // no key could
  }
  settings_changed(before);
  input_changed();
}

void Terminal::set_window(const WindowSize& size) {
  if (!(size == window)) {
    window = size;
    raise(kSIGWINCH);
  }
}

void Terminal::stop_output() {
  if (!stopped()) {
    stopped_ = true;
    flow_changed();
  }
}

void Terminal::start_output() {
  if (stopped_ && !stopped_by_call_) {
    stopped_ = false;
    flow_changed();
    output_changed();
  }
}

void Terminal::stop_by_call() {
  if (!stopped_by_call_) {
    stop_output();
    stopped_by_call_ = true;
  }
}

void Terminal::start_by_call() {
  if (stopped_by_call_) {
    stopped_by_call_ = false;
    start_output();
  }
}

void Terminal::output_changed() {
  while (!echoes_.empty() && room() != 0) {
    const std::string_view piece = echoes_.front().substr(0, room());
    put(piece);
    echoes_.drop(static_cast<u32>(piece.size()));
  }
  wake(changed);
}

void Terminal::print(std::string_view text) {
  const u64 now = echoes_.empty() ? std::min<u64>(text.size(), room()) : 0;
  if (now != 0) {
    put(text.substr(0, now));
  }
  static_cast<void>(echoes_.put(text.substr(now)));
}

void Terminal::raise(i32 signal) {
  if (foreground != 0) {
    signal_group_of_session(foreground, session, signal, SignalInfo{.code = kSiKernel});
  }
}

}  // namespace nopte::guest::tty
