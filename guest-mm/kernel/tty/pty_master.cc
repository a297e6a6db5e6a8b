// The master's side of a pty: /dev/ptmx.
#include <algorithm>

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/tty/job_control.h"
#include "guest-mm/kernel/tty/pty.h"

namespace nopte::guest::tty {

namespace {

using files::File;
using files::get_user;
using files::Inode;
using files::IoBuffer;
using files::put_user;

// asm-generic/ioctls.h
enum Request : u32 {
  kTcxonc = 0x540a,
  kTcflsh = 0x540b,
  kFionread = 0x541b,
  kTiocpkt = 0x5420,
  kTiocgptpeer = 0x5441,
  kTiocsptlck = 0x40045431,
  kTiocsig = 0x40045436,
  kTiocgptn = 0x80045430,
  kTiocgpkt = 0x80045438,
  kTiocgptlck = 0x80045439,
};

class MasterFile final : public File {
 public:
  MasterFile(Ref<Inode> node, u32 flags, Ref<Pty> pty)
      : File(std::move(node), flags & ~files::kOpenNoTty), pty_(std::move(pty)) {}
  ~MasterFile() override {
    Pty& pty = *pty_;
    pty.master_open = false;
    remove_pty(pty);
    hang_up(pty);
  }

  i64 read(IoBuffer to, u64 bytes, u64) override;
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override;
  i64 ioctl(u32 request, u64 argument) override;
  u32 poll() override;
  WaitQueue* poll_queue() override { return &pty_->master_changed; }
  [[nodiscard]] bool signals_events() const override { return true; }

 private:
  [[nodiscard]] bool takes_input() const { return !stopped_ && pty_->input_room() != 0; }
  // 0, -kEAGAIN or -kERESTARTSYS.
  i64 wait() {
    if (non_blocking()) {
      return -kEAGAIN;
    }
    return block_on(pty_->master_changed) == WakeReason::kSignal ? -kERESTARTSYS : 0;
  }
  i64 copy_output(IoBuffer to, u64 bytes);
  struct Typed {
    u64 bytes;
    bool refused;  // there is no room for the next one
  };
  Typed type(std::string_view text);
  i64 master_ioctl(u32 request, u64 argument);
  i64 flush(u64 which);
  i64 control_flow(u64 what);
  i64 open_other_side(u32 flags);

  Ref<Pty> pty_;
  bool stopped_ = false;  // by TCXONC
};

i64 MasterFile::copy_output(IoBuffer to, u64 bytes) {
  u64 done = 0;
  while (done < bytes && pty_->output_bytes() != 0) {
    const std::string_view piece = pty_->output().substr(0, bytes - done);
    const IoBuffer::Copied copied = to.after(done).put(piece.data(), piece.size());
    pty_->drop_output(static_cast<u32>(copied.bytes));
    done += copied.bytes;
    if (copied.status != Status::kOk) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
  }
  return static_cast<i64>(done);
}

i64 MasterFile::read(IoBuffer to, u64 bytes, u64) {
  while (bytes != 0) {
    const bool packets = pty_->packets;
    if (packets && (pty_->packet_status != 0 || pty_->output_bytes() != 0)) {
      const u8 status = pty_->packet_status;
      const IoBuffer::Copied copied = to.put(&status, 1);
      if (copied.status != Status::kOk) {
        return to_errno(copied.status);
      }
      pty_->packet_status = 0;
      const i64 more = status == 0 ? copy_output(to.after(1), bytes - 1) : 0;
      return more < 0 ? more : more + 1;
    }
    if (pty_->output_bytes() != 0) {
      return copy_output(to, bytes);
    }
    if (pty_->left) {
      return -kEIO;
    }
    if (const i64 error = wait(); error != 0) {
      return error;
    }
  }
  return 0;
}

// As much as is done without a look at the others.
MasterFile::Typed MasterFile::type(std::string_view text) {
  const u64 looked_at = pty_->discipline.looked_at();
  Typed typed{0, false};
  while (typed.bytes < text.size() &&
         pty_->discipline.looked_at() - looked_at <= LineDiscipline::kMostAgain) {
    if (stopped_ || !pty_->input(static_cast<u8>(text[typed.bytes]))) {
      typed.refused = true;
      break;
    }
    ++typed.bytes;
  }
  pty_->input_done();
  return typed;
}

i64 MasterFile::write(IoBuffer from, u64 bytes, u64, u64*) {
  u64 done = 0;
  while (done < bytes) {
    if (done != 0 && signal_pending()) {
      break;
    }
    pty_->go_on();
    char text[512];
    const IoBuffer::Copied copied = from.after(done).get(text, std::min<u64>(bytes - done, sizeof text));
    if (copied.bytes == 0) {
      return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
    }
    const Typed typed = type({text, copied.bytes});
    done += typed.bytes;
    if (!typed.refused) {
      give_way();
    } else if (const i64 error = wait(); error != 0) {
      return done != 0 ? static_cast<i64>(done) : error;
    }
  }
  return static_cast<i64>(done);
}

u32 MasterFile::poll() {
  const bool status = pty_->packets && pty_->packet_status != 0;
  u32 events = status ? files::kPollPriority : 0;
  events |= status || pty_->output_bytes() != 0 ? files::kPollIn | files::kPollReadNormal : 0;
  events |= takes_input() ? files::kPollOut | files::kPollWriteNormal : 0;
  return events | (pty_->left ? files::kPollHangUp : 0);
}

i64 MasterFile::flush(u64 which) {
  if (which > 2) {
    return -kEINVAL;
  }
  if (which != 1) {
    pty_->drop_output(pty_->output_bytes());
  }
  if (which != 0) {
    pty_->flush_waiting_input();
    wake(pty_->master_changed);
  }
  return 0;
}

i64 MasterFile::control_flow(u64 what) {
  constexpr u8 kStopByte = 023, kStartByte = 021;
  if (what > 3) {
    return -kEINVAL;
  }
  if (what < 2) {
    stopped_ = what == 0;
    wake(pty_->master_changed);
  } else {
    static_cast<void>(pty_->input(what == 2 ? kStopByte : kStartByte));
    pty_->input_done();
  }
  return 0;
}

i64 MasterFile::open_other_side(u32 flags) {
  const files::ErrnoOr<Ref<File>> file = open_peer(*pty_, flags);
  if (!file) {
    return -static_cast<i64>(file.error());
  }
  const bool closes = (flags & files::kOpenCloseOnExec) != 0;
  return files::current_files().table.insert(*file, files::CloseOnExec{closes});
}

i64 MasterFile::master_ioctl(u32 request, u64 argument) {
  i32 value = 0;
  if (request == kTiocsptlck || request == kTiocpkt) {
    if (const i64 error = get_user(value, argument); error != 0) {
      return error;
    }
  }
  switch (request) {
    case kTiocsptlck:
      pty_->locked = value != 0;
      return 0;
    case kTiocpkt:
      pty_->packet_status = pty_->packets ? pty_->packet_status : u8{0};
      pty_->packets = value != 0;
      return 0;
    case kTiocgptn:
      return put_user(argument, pty_->index);
    case kTiocgptlck:
      return put_user(argument, i32{pty_->locked});
    case kTiocgpkt:
      return put_user(argument, i32{pty_->packets});
    case kTiocsig:
      if (argument != kSIGINT && argument != kSIGQUIT && argument != kSIGTSTP) {
        return -kEINVAL;
      }
      pty_->raise(static_cast<i32>(argument));
      return 0;
    case kTiocgptpeer:
      return open_other_side(static_cast<u32>(argument));
    case kFionread:
      return put_user(argument, static_cast<i32>(pty_->output_bytes()));
    case kTcflsh:
      return flush(argument);
    default:  // kTcxonc
      return control_flow(argument);
  }
}

i64 MasterFile::ioctl(u32 request, u64 argument) {
  switch (request) {
    case kTiocsptlck:
    case kTiocpkt:
    case kTiocgptn:
    case kTiocgptlck:
    case kTiocgpkt:
    case kTiocsig:
    case kTiocgptpeer:
    case kFionread:
    case kTcflsh:
    case kTcxonc:
      return master_ioctl(request, argument);
    default:
      return terminal_ioctl(*pty_, *this, Side::kMaster, request, argument);
  }
}

}  // namespace

files::ErrnoOr<Ref<File>> open_master(Ref<Inode> node, u32 flags) {
  files::ErrnoOr<Ref<Pty>> pty = add_pty();
  if (!pty) {
    return files::ErrnoFail(pty.error());
  }
  Ref<File> file = files::make_counted<MasterFile>(std::move(node), flags, *pty);
  if (!file) {
    remove_pty(**pty);
    return files::ErrnoFail(kENOMEM);
  }
  return file;
}

}  // namespace nopte::guest::tty
