#include "guest-mm/kernel/files/file.h"

#include "guest-mm/kernel/files/events/notify.h"
#include "guest-mm/kernel/files/file_owner.h"
#include "guest-mm/kernel/files/inode.h"

namespace nopte::guest::files {

File::File(Ref<Inode> inode, u32 flags) : inode_(std::move(inode)), flags_(flags) {}
File::~File() {
  notify_closed(inode_.get(), flags_);
  if (inode_ && inode_->locks) [[unlikely]] {
    inode_->locks->drop(this);
  }
}

i64 File::read(IoBuffer, u64, u64) { return -kEINVAL; }
i64 File::write(IoBuffer, u64, u64, u64*) { return -kEINVAL; }
i64 File::truncate(u64) { return -kEINVAL; }
i64 File::allocate(u64, u64) { return 0; }
i64 File::punch(u64, u64) { return -kEOPNOTSUPP; }
bool File::splices_out() const { return inode_->as_anonymous() == nullptr; }
bool File::splices_in() const { return inode_->as_anonymous() == nullptr; }
i64 File::ioctl(u32, u64) { return -kENOTTY; }
u32 File::poll() { return kPollIn | kPollOut | kPollReadNormal | kPollWriteNormal; }
ErrnoOr<MemoryObject*> File::mmap_object(Perm, Sharing) { return ErrnoFail(kENODEV); }
i64 File::read_directory(u64, DirectoryVisitor) { return -kENOTDIR; }
void File::stat(Stat& out) { inode_->stat(out); }

}  // namespace nopte::guest::files
