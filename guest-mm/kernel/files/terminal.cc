#include "guest-mm/kernel/files/terminal.h"

#include <algorithm>

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/line_discipline.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::files {

namespace {

// asm-generic/ioctls.h
enum Request : u32 {
  kTcgets = 0x5401,
  kTcsets = 0x5402,
  kTcsetsw = 0x5403,
  kTcsetsf = 0x5404,
  kTcsbrk = 0x5409,
  kTcxonc = 0x540a,
  kTcflsh = 0x540b,
  kTiocsctty = 0x540e,
  kTiocgpgrp = 0x540f,
  kTiocspgrp = 0x5410,
  kTiocgwinsz = 0x5413,
  kTiocswinsz = 0x5414,
  kFionread = 0x541b,
  kTiocnotty = 0x5422,
  kTiocgsid = 0x5429,
};

struct WindowSize {
  u16 rows = 24, columns = 80, x_pixels = 0, y_pixels = 0;
};

class Terminal final : public TerminalSink {
 public:
  void print(std::string_view text) override { platform_ops().console_write(text); }
  void raise(i32 signal) override {
    if (foreground != 0) {
      signal_foreground_group(foreground, signal);
    }
  }

  LineDiscipline discipline;
  WaitQueue input_queue;
  WindowSize window;
  i32 foreground = 0;  // process group; 0: nobody asked yet
};

constinit Terminal g_terminal;

class TerminalFile final : public File {
 public:
  using File::File;
  i64 read(IoBuffer to, u64 bytes, u64 offset) override;
  i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end) override;
  i64 ioctl(u32 request, u64 argument) override;
  u32 poll() override {
    return kPollOut | kPollWriteNormal | (g_terminal.discipline.ready() ? kPollIn | kPollReadNormal : 0);
  }
  [[nodiscard]] bool signals_events() const override { return true; }
  WaitQueue* poll_queue() override { return &g_terminal.input_queue; }

 private:
  // Waits until a read can be answered: 0, or what it answers instead (also 0 bytes: then *nothing is set).
  i64 wait_for_input(bool& nothing);
};

i64 TerminalFile::wait_for_input(bool& nothing) {
  LineDiscipline& discipline = g_terminal.discipline;
  const Termios& termios = discipline.termios;
  u64 deadline = kNoDeadline;
  if (!(termios.local & Termios::kCanonical) && termios.characters[Termios::kMin] == 0) {
    deadline = platform_ops().now_ns() + u64{termios.characters[Termios::kTime]} * 100'000'000;
  }
  while (!discipline.ready()) {
    if (non_blocking()) {
      return -kEAGAIN;
    }
    if (deadline != kNoDeadline && platform_ops().now_ns() >= deadline) {
      nothing = true;
      return 0;
    }
    if (block_on(g_terminal.input_queue, deadline) == WakeReason::kSignal) {
      return -kERESTARTSYS;
    }
  }
  return 0;
}

i64 TerminalFile::read(IoBuffer to, u64 bytes, u64) {
  if (bytes == 0) {
    return 0;
  }
  bool nothing = false;
  if (const i64 error = wait_for_input(nothing); error != 0 || nothing) {
    return error;
  }
  LineDiscipline& discipline = g_terminal.discipline;
  u64 done = 0;
  for (;;) {
    char buffer[256];
    const LineDiscipline::Read read =
        discipline.peek(buffer, static_cast<u32>(std::min<u64>(bytes - done, sizeof buffer)), 0);
    if (read.bytes != 0) {
      const IoBuffer::Copied copied = to.after(done).put(buffer, read.bytes);
      if (copied.status != Status::kOk) {
        return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
      }
    }
    discipline.consume(read.cells);
    done += read.bytes;
    if (read.at_end || done == bytes) {
      return static_cast<i64>(done);
    }
  }
}

i64 TerminalFile::write(IoBuffer from, u64 bytes, u64, u64*) {
  u64 done = 0;
  while (done < bytes) {
    char text[512];
    char out[2 * sizeof text];
    const IoBuffer::Copied copied = from.after(done).get(text, std::min<u64>(bytes - done, sizeof text));
    if (copied.bytes != 0) {
      platform_ops().console_write({out, g_terminal.discipline.process_output({text, copied.bytes}, out)});
      done += copied.bytes;
    }
    if (copied.status != Status::kOk) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
  }
  return static_cast<i64>(done);
}

i64 TerminalFile::ioctl(u32 request, u64 argument) {
  Terminal& terminal = g_terminal;
  switch (request) {
    case kTcgets:
      return put_user(argument, terminal.discipline.termios);
    case kTcsets:
    case kTcsetsw:
    case kTcsetsf: {
      Termios termios;
      if (const i64 error = get_user(termios, argument); error != 0) {
        return error;
      }
      if (request == kTcsetsf) {
        terminal.discipline.flush_input();
      }
      terminal.discipline.termios = termios;
      // What was half a line may be readable now.
      wake(terminal.input_queue);
      return 0;
    }
    case kTcflsh:
      if (argument != 1) {  // TCIFLUSH, TCIOFLUSH
        terminal.discipline.flush_input();
      }
      return 0;
    case kTcsbrk:
    case kTcxonc:
    case kTiocnotty:
      return 0;
    case kTiocsctty:
      terminal.foreground = current_process().pgid;
      return 0;
    case kTiocgpgrp:
      if (terminal.foreground == 0) {
        terminal.foreground = current_process().pgid;
      }
      return put_user(argument, terminal.foreground);
    case kTiocspgrp: {
      i32 group = 0;
      if (const i64 error = get_user(group, argument); error != 0) {
        return error;
      }
      if (group <= 0) {
        return -kEINVAL;
      }
      terminal.foreground = group;
      return 0;
    }
    case kTiocgsid:
      return put_user(argument, current_process().sid);
    case kTiocgwinsz:
      return put_user(argument, terminal.window);
    case kTiocswinsz:
      return get_user(terminal.window, argument);
    case kFionread:
      return put_user(argument, static_cast<i32>(terminal.discipline.available()));
    default:
      return -kENOTTY;
  }
}

}  // namespace

Ref<File> open_terminal(Ref<Inode> node, u32 flags) {
  return make_counted<TerminalFile>(std::move(node), flags);
}

void console_input() {
  if (g_terminal.foreground == 0 && g_current != nullptr) {
    g_terminal.foreground = current_process().pgid;
  }
  while (const std::optional<u8> byte = platform_ops().console_read()) {
    g_terminal.discipline.receive(*byte, g_terminal);
  }
  if (g_terminal.discipline.ready()) {
    wake(g_terminal.input_queue);
  }
}

}  // namespace nopte::guest::files
