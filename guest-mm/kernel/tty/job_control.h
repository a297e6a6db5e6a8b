// Job control: which session a terminal controls, who may use it, and what its end means.
//
// A session has at most one controlling terminal, and a terminal is that of at most one. A process knows its
// own (Process::terminal), which others of its session may not have: who was there before the leader got it,
// or gave it up. Terminals are not kept by it: a pty that goes is taken away from every process first.
// Source: drivers/tty/tty_jobctrl.c of Linux 6.12; POSIX, General Terminal Interface.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {
struct Process;
}  // namespace nopte::guest

namespace nopte::guest::tty {

class Terminal;

// Before the running process reads (SIGTTIN) or changes (SIGTTOU) the terminal: 0, or what its call answers.
// From the background of its own terminal it stops by that signal and the call begins again; -kEIO where
// nobody could make it go on or, for a read, where it does not want to stop.
i64 check_foreground(const Terminal& terminal, i32 signal);

// Makes it the running process's. Precondition: it leads a session and has none.
void acquire(Terminal& terminal);
// ioctl(TIOCSCTTY): `steal`, for who may, takes it from another session.
i64 acquire_by_call(Terminal& terminal, bool steal, bool readable);
// ioctl(TIOCNOTTY): gives it up, a leader for all of its session.
i64 give_up(const Terminal& terminal);
// The process, a leader of its session, ended.
void leader_ended(Process& leader);

enum class SessionEnds : bool { kNo, kYes };
// The line is gone: open files are at their end, the session has no terminal, its leader gets SIGHUP and
// SIGCONT, and when the session ends the foreground gets SIGHUP.
void hang_up(Terminal& terminal, SessionEnds ends = SessionEnds::kNo);

}  // namespace nopte::guest::tty
