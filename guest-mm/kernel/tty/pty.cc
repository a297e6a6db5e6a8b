#include "guest-mm/kernel/tty/pty.h"

#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::tty {

PtyLimits g_ptys;

void Pty::put(std::string_view text) {
  static_cast<void>(output_.put(text));
  wake(master_changed);
}

void Pty::drop_output(u32 bytes) {
  output_.drop(bytes);
  output_changed();
}

void Pty::tell_master(u8 set, u8 clear) {
  if (packets) {
    packet_status = static_cast<u8>((packet_status & ~clear) | set);
    wake(master_changed);
  }
}

void Pty::attach() {
  ++opens;
  left = false;
}

void Pty::detach() {
  if (--opens == 0) {
    left = true;
    packets = false;
    wake(master_changed);
  }
}

void Pty::flow_changed() {
  if (stopped()) {
    tell_master(kStopped, kStarted);
  } else {
    tell_master(kStarted, kStopped);
  }
}

void Pty::settings_changed(const Termios& before) {
  const auto usual_keys = [](const Termios& termios) {
    return (termios.input & Termios::kFlowControl) != 0 && termios.characters[Termios::kStop] == 023 &&
           termios.characters[Termios::kStart] == 021;
  };
  const Termios& now = discipline.termios();
  if (usual_keys(before) != usual_keys(now)) {
    tell_master(usual_keys(now) ? kKeysStop : kNoKeysStop, kKeysStop | kNoKeysStop);
  }
  if (((before.local ^ now.local) & Termios::kExternal) != 0) {
    tell_master(kExternalChanged);
  }
}

void Pty::input_taken() { wake(master_changed); }

}  // namespace nopte::guest::tty
