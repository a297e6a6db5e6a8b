// /proc: what ps, free, mount, uptime and runtimes read, made at every open.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// The root of /proc. Null: no memory.
Ref<Inode> make_proc_root();

}  // namespace nopte::guest::files
