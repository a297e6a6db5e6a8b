// O_PATH: a descriptor that only names an inode.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

ErrnoOr<Ref<File>> open_path_only(Ref<Inode> inode, u32 flags);

}  // namespace nopte::guest::files
