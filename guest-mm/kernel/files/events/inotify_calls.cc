// inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/inotify.h"
#include "guest-mm/kernel/files/names/permission.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u32 kOnlyDirectory = 0x100'0000, kDontFollow = 0x200'0000, kMaskCreate = 0x1000'0000,
              kMaskAdd = 0x2000'0000;
// All bits that mean something in inotify: one of them has to be there.
constexpr u32 kKnown = kAllEvents | 0xe000 | 0xf700'0000;

i64 make(u32 flags) {
  if ((flags & ~(kOpenCloseOnExec | kOpenNonBlock)) != 0) {
    return -kEINVAL;
  }
  ErrnoOr<Ref<File>> file = make_inotify(flags & kOpenNonBlock);
  return file ? current_files().table.insert(
                    std::move(*file), (flags & kOpenCloseOnExec) != 0 ? CloseOnExec::kYes : CloseOnExec::kNo)
              : negated(file.error());
}

}  // namespace

i64 sys_inotify_init(const SyscallArgs&) { return make(0); }
i64 sys_inotify_init1(const SyscallArgs& args) { return make(static_cast<u32>(args.a0)); }

i64 sys_inotify_add_watch(const SyscallArgs& args) {
  const auto mask = static_cast<u32>(args.a2);
  if ((mask & kKnown) == 0) {
    return -kEINVAL;
  }
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  Inotify* const instance = file->as_inotify();
  if (instance == nullptr || ((mask & kMaskAdd) != 0 && (mask & kMaskCreate) != 0)) {
    return -kEINVAL;
  }
  const ErrnoOr<Ref<Inode>> inode = inode_of_user_path(
      static_cast<u64>(kAtCwd), args.a1, (mask & kDontFollow) != 0 ? FinalLink::kStay : FinalLink::kFollow);
  if (!inode) {
    return negated(inode.error());
  }
  if ((mask & kOnlyDirectory) != 0 && !(*inode)->is_directory()) {
    return -kENOTDIR;
  }
  const i64 refused = permission(**inode, kMayRead);
  return refused != 0 ? refused : instance->add(**inode, mask);
}

i64 sys_inotify_rm_watch(const SyscallArgs& args) {
  File* const file = file_of(args.a0);
  if (file == nullptr) {
    return -kEBADF;
  }
  Inotify* const instance = file->as_inotify();
  return instance != nullptr ? instance->remove(static_cast<i32>(args.a1)) : -kEINVAL;
}

}  // namespace nopte::guest
