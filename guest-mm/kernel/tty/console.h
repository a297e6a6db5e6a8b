// The machine's console as a terminal, /dev/ttyS0, and as the system's console, /dev/console.
#pragma once

#include "guest-mm/kernel/tty/terminal.h"

namespace nopte::guest::tty {

// To be called once, before either is opened. False: no memory.
bool make_console();
files::ErrnoOr<Ref<files::File>> open_serial(Ref<files::Inode> node, u32 flags);
files::ErrnoOr<Ref<files::File>> open_console(Ref<files::Inode> node, u32 flags);
// Console input waits (kConsoleVector). By interrupt.
void console_input();

}  // namespace nopte::guest::tty
