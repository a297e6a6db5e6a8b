// Line speeds: no line here has one, but they are told as they were set (drivers/tty/tty_baudrate.c).
#pragma once

#include "guest-mm/kernel/tty/termios.h"

namespace nopte::guest::tty {

// Makes the speeds agree with the control word.
void settle_bauds(Termios& termios);

}  // namespace nopte::guest::tty
