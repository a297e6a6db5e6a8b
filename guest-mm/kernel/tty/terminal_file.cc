// Open files of terminals: reading, writing, polling.
#include <algorithm>

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/tty/job_control.h"
#include "guest-mm/kernel/tty/terminal.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::tty {

namespace {

using files::File;
using files::Inode;
using files::IoBuffer;

constexpr u64 kTenthNs = 100'000'000;  // the unit of VTIME

class TerminalFile final : public File {
 public:
  TerminalFile(Ref<Inode> node, u32 flags, Terminal& terminal, OpenedAs as)
      : File(std::move(node), flags & ~files::kOpenNoTty),
        terminal_(&terminal),
        hang_ups_(terminal.hang_ups),
        as_(as) {
    terminal.attach();
  }
  ~TerminalFile() override { terminal_->detach(); }

  i64 read(IoBuffer to, u64 bytes, u64) override;
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override;
  i64 ioctl(u32 request, u64 argument) override;
  u32 poll() override;
  WaitQueue* poll_queue() override { return &terminal_->changed; }
  [[nodiscard]] bool signals_events() const override { return true; }

 private:
  [[nodiscard]] bool at_end() const { return as_ == OpenedAs::kTerminal && hang_ups_ != terminal_->hang_ups; }
  i64 copy_input(IoBuffer to, u64 bytes);
  i64 write_piece(std::string_view text);

  Ref<Terminal> terminal_;
  u32 hang_ups_;  // the terminal's when this was opened
  OpenedAs as_;
};

// How long a read waits, and for how much: VMIN and VTIME.
struct Patience {
  u64 least = 0;  // bytes; a line, 0
  u64 deadline_ns = kNoDeadline;
  u64 between_ns = 0;  // after a byte; 0: as long as it takes

  explicit Patience(const LineDiscipline& discipline) {
    if (discipline.canonical()) {
      return;
    }
    const u64 time_ns = discipline.termios().characters[Termios::kTime] * kTenthNs;
    least = discipline.termios().characters[Termios::kMin];
    if (least != 0) {
      between_ns = time_ns;
    } else {
      least = 1;
      deadline_ns = platform_ops().now_ns() + time_ns;
    }
  }
  [[nodiscard]] bool over() const {
    return deadline_ns != kNoDeadline && platform_ops().now_ns() >= deadline_ns;
  }
  void got_some() {
    if (between_ns != 0) deadline_ns = platform_ops().now_ns() + between_ns;
  }
};

// A line or a part of it, or what there is, up to `bytes`. Precondition: there is input. What cannot be
// copied stays.
i64 TerminalFile::copy_input(IoBuffer to, u64 bytes) {
  LineDiscipline& discipline = terminal_->discipline;
  u64 done = 0;
  for (;;) {
    char buffer[256];
    const LineDiscipline::Read read =
        discipline.peek(buffer, static_cast<u32>(std::min<u64>(bytes - done, sizeof buffer)));
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

i64 TerminalFile::read(IoBuffer to, u64 bytes, u64) {
  if (at_end()) {
    return 0;
  }
  if (as_ == OpenedAs::kTerminal) {
    if (const i64 error = check_foreground(*terminal_, kSIGTTIN); error != 0) {
      return error;
    }
  }
  Patience patience(terminal_->discipline);
  u64 done = 0;
  i64 result = 0;
  while (done < bytes) {
    if (!terminal_->discipline.has_input()) {
      terminal_->go_on();
      if (terminal_->discipline.has_input()) {
        continue;
      }
      if (terminal_->input_cut_short()) {  // by a signal, again
        result = -kERESTARTSYS;
        break;
      }
      if (terminal_->cut_off()) {
        result = -kEIO;
        break;
      }
      if (at_end() || patience.over()) {
        break;
      }
      if (non_blocking()) {
        result = -kEAGAIN;
        break;
      }
      if (block_on(terminal_->changed, patience.deadline_ns) == WakeReason::kSignal) {
        result = -kERESTARTSYS;
        break;
      }
      continue;
    }
    const i64 copied = copy_input(to.after(done), bytes - done);
    if (copied < 0) {
      result = copied;
      break;
    }
    done += static_cast<u64>(copied);
    terminal_->input_changed();
    if (done >= patience.least) {
      break;
    }
    patience.got_some();
  }
  return done != 0 ? static_cast<i64>(done) : result;
}

// All of it, or how much before -kEIO, -kEAGAIN or a signal; these if nothing.
i64 TerminalFile::write_piece(std::string_view text) {
  u64 done = 0;
  for (;;) {
    if (at_end() || terminal_->cut_off()) {
      return done != 0 ? static_cast<i64>(done) : -kEIO;
    }
    char out[1024];
    const u64 room = std::min<u64>(terminal_->room(), sizeof out);
    const LineDiscipline::Written written =
        terminal_->discipline.process_output(text.substr(done), {out, room});
    if (written.bytes != 0) {
      terminal_->put({out, written.bytes});
    }
    done += written.taken;
    if (done == text.size()) {
      return static_cast<i64>(done);
    }
    if (written.taken != 0) {
      continue;
    }
    if (non_blocking()) {
      return done != 0 ? static_cast<i64>(done) : -kEAGAIN;
    }
    if (block_on(terminal_->changed) == WakeReason::kSignal) {
      return done != 0 ? static_cast<i64>(done) : -kERESTARTSYS;
    }
  }
}

i64 TerminalFile::write(IoBuffer from, u64 bytes, u64, u64*) {
  if (at_end()) {
    return -kEIO;
  }
  if (as_ == OpenedAs::kTerminal && (terminal_->discipline.termios().local & Termios::kStopWriters) != 0) {
    if (const i64 error = check_foreground(*terminal_, kSIGTTOU); error != 0) {
      return error;
    }
  }
  terminal_->go_on();
  u64 done = 0;
  while (done < bytes) {
    char text[512];
    const IoBuffer::Copied copied = from.after(done).get(text, std::min<u64>(bytes - done, sizeof text));
    const i64 written = copied.bytes != 0 ? write_piece({text, copied.bytes}) : to_errno(copied.status);
    if (written < 0) {
      return done != 0 ? static_cast<i64>(done) : written;
    }
    done += static_cast<u64>(written);
    if (static_cast<u64>(written) < copied.bytes) {
      break;
    }
  }
  return static_cast<i64>(done);
}

i64 TerminalFile::ioctl(u32 request, u64 argument) {
  constexpr u32 kTiocspgrp = 0x5410;
  if (at_end()) {
    return request == kTiocspgrp ? -kENOTTY : -kEIO;
  }
  return terminal_ioctl(*terminal_, *this, Side::kTerminal, request, argument);
}

u32 TerminalFile::poll() {
  constexpr u32 kInput = files::kPollIn | files::kPollReadNormal;
  constexpr u32 kOutput = files::kPollOut | files::kPollWriteNormal;
  if (at_end()) {
    return kInput | kOutput | files::kPollError | files::kPollHangUp;
  }
  // What was cut short may be a line, and only who reads goes on with it.
  return (terminal_->discipline.readable() || terminal_->input_cut_short() ? kInput : 0) |
         (terminal_->room() >= LineDiscipline::kMostForOne ? kOutput : 0) |
         (terminal_->cut_off() ? files::kPollHangUp : 0);
}

}  // namespace

files::ErrnoOr<Ref<File>> open_terminal(Terminal& terminal, Ref<Inode> node, u32 flags, OpenedAs as) {
  if (const i64 error = terminal.may_open(); error != 0) {
    return files::ErrnoFail(static_cast<Errno>(-error));
  }
  if (terminal.exclusive && terminal.opens != 0 && !capable(Capability::kSysAdmin)) {
    return files::ErrnoFail(kEBUSY);
  }
  Ref<File> file = files::make_counted<TerminalFile>(std::move(node), flags, terminal, as);
  if (!file) {
    return files::ErrnoFail(kENOMEM);
  }
  const Process& self = current_process();
  if ((flags & files::kOpenNoTty) == 0 && as == OpenedAs::kTerminal && self.pid == self.sid &&
      self.terminal == nullptr && terminal.session == 0 && file->readable()) {
    acquire(terminal);
  }
  return file;
}

files::ErrnoOr<Ref<File>> open_own_terminal(Ref<Inode> node, u32 flags) {
  Terminal* const terminal = current_process().terminal;
  if (terminal == nullptr) {
    return files::ErrnoFail(kENXIO);
  }
  return open_terminal(*terminal, std::move(node), flags, OpenedAs::kTerminal);
}

}  // namespace nopte::guest::tty
