// TmpfsFile: the object that mappings of it show, and the part of the initramfs that it is until it changes.
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/tmpfs/tmpfs.h"

namespace nopte::guest::files {

bool TmpfsFile::show(ArchivePart part, u64 bytes) {
  if (!charge_.raise(pages_to_bytes(bytes_to_pages(bytes)))) {
    return false;
  }
  part_ = std::move(part);
  bytes_ = data_end_ = bytes;
  return true;
}

Result<void> TmpfsFile::leave_archive(u64 kept) {
  Ref<MemoryObject> own;
  if (kept != 0) {
    const PageRun run{0, bytes_to_pages(kept)};
    Result<Ref<MemoryObject>> made = MemoryObject::create(pages_to_bytes(run.pages));
    if (!made || !written_.add(run)) {
      return Fail(made ? Status::kNoMemory : made.error());
    }
    own = std::move(*made);
    for (u64 done = 0; done < kept;) {
      const u64 piece = std::min(kept - done, kPieceBytes);
      const Result<const char*> from = contents(done, piece);
      const Result<char*> to = window_.prepare(*own, done, piece, Access::kWrite);
      if (!from || !to || !arch::copy_fallible(*to, *from, piece)) {
        window_.close();
        written_.cut(0);
        return Fail(Status::kNoMemory);
      }
      done += piece;
    }
  }
  part_ = {};
  object_ = std::move(own);
  bytes_ = data_end_ = kept;
  forget_pages(bytes_to_pages(kept));
  return {};
}

ErrnoOr<MemoryObject*> TmpfsFile::mappable_object(Sharing sharing) {
  if (!part_ || sharing == Sharing::kShared) {
    return own_object();
  }
  if (!object_) {
    auto view = MemoryObject::view(part_.archive->object(), part_.first_page, bytes_);
    if (!view) {
      return ErrnoFail(kENOMEM);
    }
    object_ = std::move(*view);
    name_object();
  }
  return Ref<MemoryObject>(object_).detach();
}

ErrnoOr<MemoryObject*> TmpfsFile::own_object() {
  if (part_ && !leave_archive(bytes_)) {
    return ErrnoFail(kENOMEM);
  }
  if (!object_) {
    if (!leave_small(bytes_)) {
      return ErrnoFail(kENOMEM);
    }
    // A window for every file that was ever mapped would be a region for each.
    window_.close();
  }
  if (!reserve(bytes_)) {
    return ErrnoFail(kENOMEM);
  }
  if (!mapped_) {
    if (!object_->resize(pages_to_bytes(bytes_to_pages(bytes_)))) {
      return ErrnoFail(kENOMEM);
    }
    mapped_ = true;
    name_object();
  }
  return Ref<MemoryObject>(object_).detach();
}

void TmpfsFile::name_object() {
  object_->set_inode(number);
  if (given_name_) {
    object_->set_name(given_name());
    return;
  }
  char path[128];
  const i64 bytes = path_of(*this, path, sizeof path);
  object_->set_name({path, bytes > 0 ? static_cast<u64>(bytes) : 0});
}

}  // namespace nopte::guest::files
