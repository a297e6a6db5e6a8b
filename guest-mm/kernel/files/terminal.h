// The console as a terminal: the line discipline between the platform's console and its readers, and the
// foreground group that gets its signals. There is one, behind /dev/console and /dev/tty.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// Null: no memory.
Ref<File> open_terminal(Ref<Inode> node, u32 flags);

}  // namespace nopte::guest::files
