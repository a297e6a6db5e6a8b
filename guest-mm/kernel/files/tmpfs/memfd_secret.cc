// memfd_secret: memory for one program and those that it hands it to, neither read nor written but by
// mappings (mm/secretmem.c of Linux 6.12). That the kernel has no mapping of it is whoever owns paging's
// affair.
#include <cstring>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

class SecretFile final : public File {
 public:
  explicit SecretFile(TmpfsFile& pages) : File(Ref<Inode>(&pages), kOpenReadWrite), pages_(pages) {}

  [[nodiscard]] bool is_secret() const override { return true; }
  [[nodiscard]] bool splices_out() const override { return false; }
  [[nodiscard]] bool splices_in() const override { return false; }
  // It is given a size once.
  i64 truncate(u64 bytes) override { return pages_.size_bytes() != 0 ? -kEINVAL : pages_.truncate(bytes); }
  i64 allocate(u64, u64) override { return -kEOPNOTSUPP; }
  ErrnoOr<MemoryObject*> mmap_object(Perm, Sharing sharing) override {
    return pages_.mappable_object(sharing);
  }

 private:
  TmpfsFile& pages_;  // held by the base
};

}  // namespace

i64 sys_memfd_secret(const SyscallArgs& args) {
  const u64 flags = args.a0 & 0xffff'ffff;
  if ((flags & ~u64{kOpenCloseOnExec}) != 0) {
    return -kEINVAL;
  }
  constexpr std::string_view kName = "/secretmem (deleted)";
  HeapBuffer name(kName.size());
  const ErrnoOr<Ref<Inode>> inode = tmpfs_create(kModeRegular | 0600, 0, {});
  if (!name || !inode) {
    return -kENOMEM;
  }
  std::memcpy(name.data(), kName.data(), kName.size());
  TmpfsFile& pages = *(*inode)->as_tmpfs_file();
  pages.give_name(std::move(name));
  Ref<File> file = make_counted<SecretFile>(pages);
  if (!file) {
    return -kENOMEM;
  }
  return current_files().table.insert(std::move(file), flags != 0 ? CloseOnExec::kYes : CloseOnExec::kNo);
}

}  // namespace nopte::guest
