// cachestat (mm/filemap.c of 6.12): what a file's pages are kept in. Those of tmpfs are all that there are.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// uapi/linux/mman.h
struct CachestatRange {
  u64 offset = 0, bytes = 0;
};
struct Cachestat {
  u64 cached = 0, dirty = 0, written_back = 0, evicted = 0, recently_evicted = 0;
};

// Who could write the file may know what is in memory of it.
bool may_know(const File& file) {
  const Inode& inode = *file.inode();
  return file.writable() || owns(inode) || permission(inode, kMayWrite) == 0;
}

u64 cached(const TmpfsFile& file, CachestatRange range) {
  constexpr u64 kMostPages = TmpfsFile::kLimitBytes >> kPageShift;
  const u64 first = range.offset >> kPageShift;
  const u64 last = range.bytes == 0 ? ~u64{0} : (range.offset + range.bytes - 1) >> kPageShift;
  if (first >= kMostPages || last < first) return 0;
  return file.pages_with_data({first, std::min(last, kMostPages - 1) + 1 - first});
}

}  // namespace

i64 sys_cachestat(const SyscallArgs& args) {
  const File* const file = file_of(args.a0);
  if (file == nullptr || file->path_only()) return -kEBADF;
  CachestatRange range;
  if (const i64 error = get_user(range, args.a1); error != 0) return error;
  if (!may_know(*file)) return -kEPERM;
  if (static_cast<u32>(args.a3) != 0) return -kEINVAL;
  Cachestat counts;
  if (const TmpfsFile* const kept = file->inode()->as_tmpfs_file()) counts.cached = cached(*kept, range);
  return put_user(args.a2, counts);
}

}  // namespace nopte::guest
