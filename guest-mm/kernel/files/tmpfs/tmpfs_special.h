// Symbolic links of tmpfs.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// Null: no memory.
Ref<Inode> make_symlink(std::string_view target);

// The name of a socket. Null: no memory.
Ref<Inode> make_socket_name(u32 permissions);

}  // namespace nopte::guest::files
