// /dev: nodes in tmpfs that open the kernel's character devices by number.
#pragma once

#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

// A device node; opening one whose number nobody serves gives kENXIO.
class DeviceNode final : public Inode {
 public:
  DeviceNode(u32 inode_mode, u64 number_of_device) : Inode(inode_mode) { device = number_of_device; }
  ErrnoOr<Ref<File>> open(u32 flags) override;
};

// null, zero, full, random, urandom, ttyS0, console, tty, ptmx, nopte-mark, the links to /proc/self/fd, and
// the directories pts and shm. False: no memory.
bool make_device_nodes(Directory& dev);

}  // namespace nopte::guest::files
