// A terminal: a line discipline between a device (the console's, or the master's side of a pty) and the files
// that are open on it, and what job control knows of it (job_control.h).
//
// Waiting: whoever reads or writes sleeps on `changed`, which is woken when there is input, room, or a
// hang-up. Input may come by interrupt; nothing here allocates. Source: drivers/tty/tty_io.c, n_tty.c of
// Linux 6.12.
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/schedule/wait_queue.h"
#include "guest-mm/kernel/tty/byte_ring.h"
#include "guest-mm/kernel/tty/line_discipline.h"

namespace nopte::guest::tty {

class Terminal : public files::RefCounted, public TerminalSink {
 public:
  enum class Kind : u8 { kSerial, kPty };
  constexpr Terminal(Kind terminal_kind, u64 device_number) : kind(terminal_kind), device(device_number) {}

  const Kind kind;
  const u64 device;  // as stat shows it
  LineDiscipline discipline;
  WindowSize window;
  i32 session = 0;     // whose controlling terminal it is; 0: nobody's
  i32 foreground = 0;  // process group
  u32 hang_ups = 0;    // so many; files that were opened before the last one are at their end
  u32 opens = 0;       // files, those at their end included
  bool exclusive = false;
  Termios locks = kNoLocks;  // what set_termios() leaves alone
  WaitQueue changed;

  // A typed byte. False: there is no room, and nothing happened. input_done() follows the last one: echoes,
  // and wakes who reads.
  bool input(u8 byte);
  void input_done();
  // Room in the discipline may have come: what was typed ahead follows. Wakes who waits for either. Others
  // may run meanwhile. A signal cuts it short.
  void input_changed();
  // Goes on with what a signal cut short: whoever uses the terminal next.
  void go_on() {
    if (input_cut_short()) [[unlikely]] {
      input_changed();
    }
  }
  // There may be input after a go_on().
  [[nodiscard]] bool input_cut_short() const { return cut_short_ && !waiting_.empty(); }
  // Bytes that were typed and that the discipline has no room for.
  [[nodiscard]] u32 waiting_input() const { return waiting_.used(); }
  [[nodiscard]] u32 input_room() const { return waiting_.room(); }
  void flush_waiting_input() { waiting_.clear(); }
  void flush_input();
  // What the device has not sent: nothing, everything is at once where it belongs.
  virtual void flush_output() {}

  // For new settings, which the terminal is given as its device can have them.
  void set_termios(Termios termios);
  // Tells the foreground of a new size.
  void set_window(const WindowSize& size);

  // Stopped by a key, or by TCXONC, which a key does not undo.
  [[nodiscard]] bool stopped() const { return stopped_; }
  void stop_by_call();
  void start_by_call();
  // Output that the device takes now.
  [[nodiscard]] u32 room() const { return stopped() ? 0 : device_room(); }
  // Gives the device output. Precondition: there is room.
  virtual void put(std::string_view text) = 0;
  // There is room again, or the terminal is not stopped any more: echoes that waited follow.
  void output_changed();

  // What opening the terminal answers: 0 or a negative errno.
  [[nodiscard]] virtual i64 may_open() const { return 0; }
  // A file was opened, or the last reference to one is gone.
  virtual void attach() { ++opens; }
  virtual void detach() { --opens; }
  // Nobody is on the other side: there will be no input.
  [[nodiscard]] virtual bool cut_off() const { return false; }

  // TerminalSink
  void print(std::string_view text) override;
  void raise(i32 signal) override;
  void stop_output() override;
  void start_output() override;
  void input_flushed() override {}

 protected:
  ~Terminal() override = default;
  [[nodiscard]] virtual u32 device_room() const = 0;
  virtual void flow_changed() {}
  virtual void settings_changed(const Termios& before) { static_cast<void>(before); }
  // The discipline took some of what waited.
  virtual void input_taken() {}

 private:
  static constexpr u32 kWaitingBytes = 8192;
  static constexpr u32 kEchoBytes = 2048;

  bool stopped_ = false;
  bool stopped_by_call_ = false;  // then it is stopped
  bool cut_short_ = false;        // input_changed() was
  ByteRing<kWaitingBytes> waiting_;
  ByteRing<kEchoBytes> echoes_;  // that found no room; beyond this they are lost
};

// How a file of a terminal was opened. Neither job control nor a hang-up are of one that was opened as the
// system's console.
enum class OpenedAs : u8 { kTerminal, kConsole };

// An open file of a terminal. The running process, when it leads a session without a terminal and did not say
// O_NOCTTY, makes it its controlling terminal. Errors: what may_open() says, kEBUSY, kENOMEM.
files::ErrnoOr<Ref<files::File>> open_terminal(Terminal& terminal, Ref<files::Inode> node, u32 flags,
                                               OpenedAs as);

// /dev/tty: the controlling terminal of the running process. kENXIO: it has none.
files::ErrnoOr<Ref<files::File>> open_own_terminal(Ref<files::Inode> node, u32 flags);

// ioctl of a terminal's files and, for what is not the master's own, of a pty's master (terminal_ioctl.cc).
enum class Side : u8 { kTerminal, kMaster };
i64 terminal_ioctl(Terminal& terminal, const files::File& file, Side side, u32 request, u64 argument);

}  // namespace nopte::guest::tty
