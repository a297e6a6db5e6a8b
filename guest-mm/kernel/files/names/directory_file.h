// An open directory.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// kENOMEM alone; access modes were checked.
ErrnoOr<Ref<File>> open_directory(Directory& directory, u32 flags);

}  // namespace nopte::guest::files
