// fcntl's F_NOTIFY: what happens in a directory is told by a signal (fs/notify/dnotify of Linux 6.12).
#pragma once

#include "guest-mm/kernel/files/events/notify.h"

namespace nopte::guest::files {

// Ends with its open file. (Linux ends it with the descriptor by which it was asked for.)
struct DirectoryNotice final : InodeWatch {
  DirectoryNotice(File& of, u32 wanted, i32 by, bool again)
      : InodeWatch(*of.inode(), wanted), file(of), descriptor(by), repeats(again) {}
  void tell(u32 event, u32 cookie, std::string_view name) override;
  // It holds the directory by its file.
  void inode_ends() override {}

  File& file;
  i32 descriptor;
  bool repeats;
};

// What is asked for comes to what was asked for before; 0 takes all back. -ENOTDIR, -ENOMEM.
i64 notice_directory(File& file, u64 descriptor, u32 what);

}  // namespace nopte::guest::files
