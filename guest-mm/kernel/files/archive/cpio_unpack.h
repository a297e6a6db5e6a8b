// From a cpio archive to inodes.
#pragma once

#include "guest-mm/kernel/files/inode.h"
#include "pvops/region_spec.h"

namespace nopte::guest::files {

// Unpacks the archive that the object holds below `root`, then destroys the object, unless files show parts
// of it. A broken archive, or too little memory for it, ends the machine with a message and status 1.
void unpack_initramfs(ObjectId archive, u64 bytes, Directory& root);

}  // namespace nopte::guest::files
