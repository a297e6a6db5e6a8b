// ioctl of terminals (drivers/tty/tty_io.c, tty_ioctl.c, tty_jobctrl.c of Linux 6.12; ioctl_tty(2)).
#include <cstring>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/tty/baud.h"
#include "guest-mm/kernel/tty/job_control.h"
#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::tty {

namespace {

using files::get_user;
using files::put_user;

// asm-generic/ioctls.h
enum Request : u32 {
  kTcgets = 0x5401,
  kTcsets = 0x5402,
  kTcsetsw = 0x5403,
  kTcsetsf = 0x5404,
  kTcgeta = 0x5405,
  kTcseta = 0x5406,
  kTcsetaw = 0x5407,
  kTcsetaf = 0x5408,
  kTcsbrk = 0x5409,
  kTcxonc = 0x540a,
  kTcflsh = 0x540b,
  kTiocexcl = 0x540c,
  kTiocnxcl = 0x540d,
  kTiocsctty = 0x540e,
  kTiocgpgrp = 0x540f,
  kTiocspgrp = 0x5410,
  kTiocoutq = 0x5411,
  kTiocsti = 0x5412,
  kTiocgwinsz = 0x5413,
  kTiocswinsz = 0x5414,
  kTiocgsoftcar = 0x5419,
  kTiocssoftcar = 0x541a,
  kFionread = 0x541b,
  kTiocnotty = 0x5422,
  kTiocsetd = 0x5423,
  kTiocgetd = 0x5424,
  kTcsbrkp = 0x5425,
  kTiocsbrk = 0x5427,
  kTioccbrk = 0x5428,
  kTiocgsid = 0x5429,
  kTiocvhangup = 0x5437,
  kTiocglcktrmios = 0x5456,
  kTiocslcktrmios = 0x5457,
  kTcgets2 = 0x802c542a,
  kTcsets2 = 0x402c542b,
  kTcsetsw2 = 0x402c542c,
  kTcsetsf2 = 0x402c542d,
  kTiocgdev = 0x80045432,
  kTiocgexcl = 0x80045440,
};

enum class Form : u8 { kOld, kUsual, kWithBauds };

i64 put_termios(const Termios& termios, Form form, u64 argument) {
  if (form == Form::kOld) {
    OldTermios old{static_cast<u16>(termios.input),
                   static_cast<u16>(termios.output),
                   static_cast<u16>(termios.control),
                   static_cast<u16>(termios.local),
                   termios.line,
                   {},
                   0};
    std::memcpy(old.characters, termios.characters, sizeof old.characters);
    return put_user(argument, old);
  }
  if (form == Form::kWithBauds) {
    return put_user(argument, termios);
  }
  const auto copied = arch::copy_to_user(Gva{argument}, &termios, Termios::kShortBytes);
  return copied ? 0 : -kEFAULT;
}

// Over what there is, as far as the form goes.
i64 get_termios(Termios& termios, Form form, u64 argument) {
  if (form == Form::kWithBauds) {
    return get_user(termios, argument);
  }
  if (form == Form::kUsual) {
    return arch::copy_from_user(&termios, Gva{argument}, Termios::kShortBytes) ? 0 : -kEFAULT;
  }
  OldTermios old;
  if (const i64 error = get_user(old, argument); error != 0) {
    return error;
  }
  const auto low = [](u32& word, u16 half) { word = (word & ~u32{0xffff}) | half; };
  low(termios.input, old.input);
  low(termios.output, old.output);
  low(termios.control, old.control);
  low(termios.local, old.local);
  termios.line = old.line;
  std::memcpy(termios.characters, old.characters, sizeof old.characters);
  return 0;
}

enum class Flush : bool { kNo, kYes };

i64 set_termios(Terminal& terminal, Form form, Flush flush, u64 argument) {
  if (const i64 error = check_foreground(terminal, kSIGTTOU); error != 0) {
    return error;
  }
  Termios termios = terminal.discipline.termios();
  if (const i64 error = get_termios(termios, form, argument); error != 0) {
    return error;
  }
  settle_bauds(termios);
  if (flush == Flush::kYes) {
    terminal.flush_input();
  }
  terminal.set_termios(termios);
  return 0;
}

i64 set_locks(Terminal& terminal, u64 argument) {
  return capable(Capability::kSysAdmin) ? get_termios(terminal.locks, Form::kUsual, argument) : -kEPERM;
}

i64 set_foreground(Terminal& terminal, u64 argument) {
  if (const i64 error = check_foreground(terminal, kSIGTTOU); error != 0) {
    return error == -kEIO ? -kENOTTY : error;
  }
  i32 group = 0;
  if (const i64 error = get_user(group, argument); error != 0) {
    return error;
  }
  if (group < 0) {
    return -kEINVAL;
  }
  const Process& self = current_process();
  if (self.terminal != &terminal || terminal.session != self.sid) {
    return -kENOTTY;
  }
  bool known = find_thread(group) != nullptr;
  bool in_session = false;
  for_each_process([&](const Process& process) {
    known = known || process.pgid == group || process.sid == group;
    in_session = in_session || (process.pgid == group && process.sid == self.sid);
  });
  if (!known) {
    return -kESRCH;
  }
  if (!in_session) {
    return -kEPERM;
  }
  terminal.foreground = group;
  return 0;
}

// TCXONC
i64 control_flow(Terminal& terminal, u64 what) {
  const u8 stop = terminal.discipline.termios().characters[Termios::kStop];
  const u8 start = terminal.discipline.termios().characters[Termios::kStart];
  const u8 sent = what == 2 ? stop : start;
  switch (what) {
    case 0:  // TCOOFF
      terminal.stop_by_call();
      return 0;
    case 1:  // TCOON
      terminal.start_by_call();
      return 0;
    case 2:  // TCIOFF
    case 3:  // TCION
      if (sent != 0 && terminal.room() != 0) {
        const char c = static_cast<char>(sent);
        terminal.put({&c, 1});
      }
      return 0;
    default:
      return -kEINVAL;
  }
}

i64 type_byte(Terminal& terminal, u64 argument) {
  if (current_process().terminal != &terminal && !capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  u8 byte = 0;
  if (const i64 error = get_user(byte, argument); error != 0) {
    return error;
  }
  static_cast<void>(terminal.input(byte));
  terminal.input_done();
  return 0;
}

i64 set_discipline(u64 argument) {
  i32 number = 0;
  const i64 error = get_user(number, argument);
  return error != 0 ? error : number == 0 ? 0 : -kEINVAL;  // there is one, N_TTY
}

// What a background process may not do unasked, and what it is when it may.
i64 controlled(Terminal& terminal, u32 request, u64 argument) {
  if (const i64 error = check_foreground(terminal, kSIGTTOU); error != 0) {
    return error;
  }
  switch (request) {
    case kTiocsetd:
      return set_discipline(argument);
    case kTcxonc:
      return control_flow(terminal, argument);
    case kTcflsh:
      if (argument > 2) {
        return -kEINVAL;
      }
      if (argument != 1) {  // TCIFLUSH, TCIOFLUSH
        terminal.flush_input();
      }
      if (argument != 0) {  // TCOFLUSH, TCIOFLUSH
        terminal.flush_output();
      }
      return 0;
    default:
      return 0;  // breaks: there is no line to send them over
  }
}

i64 window_or_state(Terminal& terminal, u32 request, u64 argument) {
  switch (request) {
    case kTiocgwinsz:
      return put_user(argument, terminal.window);
    case kTiocswinsz: {
      WindowSize size;
      if (const i64 error = get_user(size, argument); error != 0) {
        return error;
      }
      terminal.set_window(size);
      return 0;
    }
    case kTiocexcl:
    case kTiocnxcl:
      terminal.exclusive = request == kTiocexcl;
      return 0;
    case kTiocgexcl:
      return put_user(argument, i32{terminal.exclusive});
    case kTiocgetd:
      return put_user(argument, i32{0});
    case kTiocgdev:
      return put_user(argument, static_cast<u32>(terminal.device));
    case kTiocgsoftcar:
      return put_user(argument, i32{(terminal.discipline.termios().control & Termios::kLocalLine) != 0});
    case kTiocvhangup:
      if (!capable(Capability::kSysAdmin)) {
        return -kEPERM;
      }
      hang_up(terminal);
      return 0;
    case kTiocsti:
      return type_byte(terminal, argument);
    default:
      return -kENOTTY;
  }
}

// Of sessions and groups. A master asks for the other side's, whosoever that is.
i64 job_control(Terminal& terminal, const files::File& file, Side side, u32 request, u64 argument) {
  const bool own = current_process().terminal == &terminal;
  switch (request) {
    case kTiocsctty:
      return acquire_by_call(terminal, argument == 1, file.readable());
    case kTiocnotty:
      return side == Side::kMaster ? -kENOTTY : give_up(terminal);
    case kTiocgpgrp:
      return side == Side::kTerminal && !own ? -kENOTTY : put_user(argument, terminal.foreground);
    case kTiocspgrp:
      return set_foreground(terminal, argument);
    default:  // kTiocgsid
      return (side == Side::kTerminal && !own) || terminal.session == 0
                 ? -kENOTTY
                 : put_user(argument, terminal.session);
  }
}

}  // namespace

i64 terminal_ioctl(Terminal& terminal, const files::File& file, Side side, u32 request, u64 argument) {
  terminal.go_on();
  switch (request) {
    case kTcgets:
      return put_termios(terminal.discipline.termios(), Form::kUsual, argument);
    case kTiocglcktrmios:
      return put_termios(terminal.locks, Form::kUsual, argument);
    case kTiocslcktrmios:
      return set_locks(terminal, argument);
    case kTcgets2:
      return put_termios(terminal.discipline.termios(), Form::kWithBauds, argument);
    case kTcgeta:
      return put_termios(terminal.discipline.termios(), Form::kOld, argument);
    case kTcsets:
    case kTcsetsw:
    case kTcsetsf:
      return set_termios(terminal, Form::kUsual, Flush{request == kTcsetsf}, argument);
    case kTcsets2:
    case kTcsetsw2:
    case kTcsetsf2:
      return set_termios(terminal, Form::kWithBauds, Flush{request == kTcsetsf2}, argument);
    case kTcseta:
    case kTcsetaw:
    case kTcsetaf:
      return set_termios(terminal, Form::kOld, Flush{request == kTcsetaf}, argument);
    case kTiocsctty:
    case kTiocnotty:
    case kTiocgpgrp:
    case kTiocspgrp:
    case kTiocgsid:
      return job_control(terminal, file, side, request, argument);
    case kTcsbrk:
    case kTcsbrkp:
    case kTiocsbrk:
    case kTioccbrk:
    case kTcxonc:
    case kTcflsh:
    case kTiocsetd:
      return controlled(terminal, request, argument);
    case kTiocoutq:
      return put_user(argument, i32{0});
    case kFionread:
      return put_user(argument, static_cast<i32>(terminal.discipline.readable_bytes()));
    case kTiocssoftcar: {
      i32 on = 0;
      const i64 error = get_user(on, argument);
      Termios termios = terminal.discipline.termios();
      termios.control =
          on != 0 ? termios.control | Termios::kLocalLine : termios.control & ~Termios::kLocalLine;
      if (error == 0) {
        terminal.set_termios(termios);
      }
      return error;
    }
    default:
      return window_or_state(terminal, request, argument);
  }
}

}  // namespace nopte::guest::tty
