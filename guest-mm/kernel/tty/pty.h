// Pseudo terminals (pty(7)): a terminal whose device is a file, the master's. What is written to the master
// is typed, what the terminal prints is read there. Each bound is Linux's or near it: 4096 bytes of input and
// 8192 that wait for room in it, 12288 of output. Source: drivers/tty/pty.c of Linux 6.12.
#pragma once

#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::tty {

class PtsNode;

// /proc/sys/kernel/pty
struct PtyLimits {
  i32 most = 4096;
  i32 reserve = 1024;  // kept and told
  i32 count = 0;
};
extern PtyLimits g_ptys;

class Pty final : public Terminal {
 public:
  static constexpr u32 kMajor = 136;
  // TIOCPKT: what the first byte of a read from the master tells.
  static constexpr u8 kFlushRead = 1, kFlushWrite = 2, kStopped = 4, kStarted = 8, kNoKeysStop = 16,
                      kKeysStop = 32, kExternalChanged = 64;

  explicit Pty(u32 number) : Terminal(Kind::kPty, files::device_number(kMajor, number)), index(number) {}

  const u32 index;
  PtsNode* node = nullptr;  // while the master is open; not owned
  bool locked = true;       // the terminal cannot be opened
  bool master_open = true;
  bool left = false;  // the terminal was open, and is not
  bool packets = false;
  u8 packet_status = 0;
  WaitQueue master_changed;  // output, room for input, or the end

  [[nodiscard]] std::string_view output() const { return output_.front(); }
  [[nodiscard]] u32 output_bytes() const { return output_.used(); }
  void drop_output(u32 bytes);
  void tell_master(u8 set, u8 clear = 0);

  void put(std::string_view text) override;
  void flush_output() override { tell_master(kFlushWrite); }
  [[nodiscard]] i64 may_open() const override { return !master_open || locked ? -kEIO : 0; }
  void attach() override;
  void detach() override;
  [[nodiscard]] bool cut_off() const override { return !master_open; }
  void input_flushed() override { tell_master(kFlushRead); }

 protected:
  [[nodiscard]] u32 device_room() const override { return output_.room(); }
  void flow_changed() override;
  void settings_changed(const Termios& before) override;
  void input_taken() override;

 private:
  static constexpr u32 kOutputBytes = 12288;
  ByteRing<kOutputBytes> output_;
};

// /dev/ptmx: a new pair. kENOSPC: as many as there may be.
files::ErrnoOr<Ref<files::File>> open_master(Ref<files::Inode> node, u32 flags);

// The directory /dev/pts (pts_directory.cc). Null: no memory.
Ref<files::Inode> make_pts_directory();
// A new pty with the lowest free number, listed there. Errors: kENOSPC, kENOMEM.
files::ErrnoOr<Ref<Pty>> add_pty();
// It is listed no more.
void remove_pty(Pty& pty);
// ioctl(TIOCGPTPEER): the other side by its name, whatever the caller's directories are.
files::ErrnoOr<Ref<files::File>> open_peer(Pty& pty, u32 flags);

}  // namespace nopte::guest::tty
