// memfd_create: a file without a name (mm/memfd.c of Linux 6.12).
#include <cstring>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

i64 sys_memfd_create(const SyscallArgs& args) {
  constexpr u64 kCloseOnExec = 1;
  constexpr u64 kAllowSealing = 2;
  constexpr u64 kHugeTlb = 4;
  constexpr u64 kNoExecSeal = 8;
  constexpr u64 kExec = 16;
  constexpr u64 kMostNameBytes = 249;  // NAME_MAX, less "memfd:"
  const u64 flags = args.a1 & 0xffff'ffff;
  constexpr u64 kHugeSizes = u64{63} << 26;
  constexpr u64 kKnown = kCloseOnExec | kAllowSealing | kNoExecSeal | kExec;
  if ((flags & ~(kKnown | ((flags & kHugeTlb) != 0 ? kHugeTlb | kHugeSizes : 0))) != 0) {
    return -kEINVAL;
  }
  if ((flags & (kExec | kNoExecSeal)) == (kExec | kNoExecSeal)) {
    return -kEINVAL;
  }
  char name[kMostNameBytes + 1];
  const Result<u64> length = arch::copy_string_from_user(name, Gva{args.a0}, sizeof(name));
  if (!length) {
    return length.error() == Status::kLimit ? -kEINVAL : -kEFAULT;
  }
  // As of a size of large pages that the machine has not: /sys/kernel/mm/hugepages has none.
  if ((flags & kHugeTlb) != 0) {
    return not_built(args, "MFD_HUGETLB", -kENODEV);
  }
  constexpr std::string_view kBefore = "/memfd:", kBehind = " (deleted)";
  HeapBuffer given(kBefore.size() + *length + kBehind.size());
  if (!given) {
    return -kENOMEM;
  }
  kBefore.copy(given.data(), kBefore.size());
  std::memcpy(given.data() + kBefore.size(), name, *length);
  kBehind.copy(given.data() + kBefore.size() + *length, kBehind.size());
  const bool no_exec = (flags & kNoExecSeal) != 0;
  const ErrnoOr<Ref<Inode>> inode = tmpfs_create(kModeRegular | (no_exec ? 0666 : 0777), 0, {});
  if (!inode) {
    return negated(inode.error());
  }
  TmpfsFile* const made = (*inode)->as_tmpfs_file();
  made->give_name(std::move(given));
  if (no_exec) {
    made->begin_seals(kSealExec);
  } else if ((flags & kAllowSealing) != 0) {
    made->begin_seals(0);
  }
  ErrnoOr<Ref<File>> file = (*inode)->open(kOpenReadWrite);
  if (!file) {
    return negated(file.error());
  }
  return current_files().table.insert(std::move(*file),
                                      (flags & kCloseOnExec) != 0 ? CloseOnExec::kYes : CloseOnExec::kNo);
}

}  // namespace nopte::guest
