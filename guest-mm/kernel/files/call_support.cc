#include "guest-mm/kernel/files/call_support.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest::files {

ProcessFiles& current_files() { return *current().files; }
ProcessFiles& current_directories() { return *current().directories; }

bool unshare_current_table() {
  Thread& self = current();
  if (!self.files->table_shared()) {
    return true;
  }
  Ref<ProcessFiles> own = self.files->clone(*self.directories);
  if (!own) {
    return false;
  }
  std::exchange(self.files, own.detach())->release_table();
  return true;
}

u64 within_file_limit_slow(const File& file, u64 offset, u64 bytes) {
  const u64 limit = current_process().limits->of(Resource::kFileBytes).now;
  if (bytes == 0 || file.inode() == nullptr || !file.inode()->is_regular()) {
    return bytes;
  }
  if (offset >= limit) {
    send_signal(current(), kSIGXFSZ);
    return 0;
  }
  return std::min(bytes, limit - offset);
}

PathStart path_start(u64 directory_descriptor, std::string_view path, u32 flags) {
  if (path.empty() && (flags & kAtEmptyPath) == 0) {
    return {-kENOENT, nullptr};
  }
  if (static_cast<i32>(directory_descriptor) == kAtCwd || path.starts_with('/')) {
    return {};
  }
  File* const file = file_of(directory_descriptor);
  if (file == nullptr) {
    return {-kEBADF, nullptr};
  }
  if (!path.empty() && !file->inode()->is_directory()) {
    return {-kENOTDIR, nullptr};
  }
  return {0, file->inode()};
}

i64 walk_user_path(u64 directory_descriptor, u64 path_address, FinalLink final, PathTarget& target) {
  UserPath path;
  if (const i64 error = path.load(path_address); error != 0) {
    return error;
  }
  const PathStart start = path_start(directory_descriptor, path.text());
  if (start.error != 0) {
    return start.error;
  }
  return walk_path(current_directories(), path.text(), final, start.start, target);
}

ErrnoOr<Ref<Inode>> inode_of_path(u64 directory_descriptor, std::string_view path, FinalLink final,
                                  u32 flags) {
  const PathStart start = path_start(directory_descriptor, path, flags);
  if (start.error != 0) {
    return ErrnoFail(static_cast<Errno>(-start.error));
  }
  if (path.empty()) {
    return start.start == nullptr ? current_directories().cwd : Ref<Inode>(start.start);
  }
  return lookup(current_directories(), path, final, start.start);
}

ErrnoOr<Ref<Inode>> inode_of_user_path(u64 directory_descriptor, u64 path_address, FinalLink final,
                                       u32 flags) {
  UserPath path;
  if (const i64 error = path.load(path_address); error != 0) {
    return ErrnoFail(static_cast<Errno>(-error));
  }
  return inode_of_path(directory_descriptor, path.text(), final, flags);
}

i64 on_path(u64 directory, u64 path, u32 flags, FunctionRef<i64(Inode&)> change) {
  if ((flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) != 0) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(
      directory, path, flags & kAtSymlinkNoFollow ? FinalLink::kStay : FinalLink::kFollow, flags);
  return inode ? change(**inode) : negated(inode.error());
}

i64 on_descriptor(u64 descriptor, FunctionRef<i64(Inode&)> change) {
  File* const file = file_of(descriptor);
  return file == nullptr || file->path_only() ? -kEBADF : change(*file->inode());
}

}  // namespace nopte::guest::files
