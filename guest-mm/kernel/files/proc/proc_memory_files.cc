// /proc/<pid>/mem, pagemap and clear_refs: a process's memory and what is there of it, by address.
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/memory/forced_access.h"
#include "guest-mm/kernel/memory/space_memory.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::files {

namespace {

// As long as the thread is in that space: rights were asked for that one, and an exec or another thread of
// the same number has another.
AddressSpace* space_of(i32 tid, u64 serial) {
  const Thread* const thread = find_thread(tid);
  AddressSpace* const space = thread != nullptr ? thread->space : nullptr;
  return space != nullptr && space->serial() == serial ? space : nullptr;
}

class MemoryFile : public File {
 public:
  MemoryFile(Ref<Inode> inode, u32 flags, i32 tid, u64 serial)
      : File(std::move(inode), flags), tid_(tid), serial_(serial) {}
  [[nodiscard]] bool seekable() const override { return true; }

 protected:
  i32 tid_;
  u64 serial_;
};

// Reads and writes whatever the rights are, as a debugger does: for the time of it the page has them. What is
// shared and was not opened for writing stays as it is.
class ContentsFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  i64 read(IoBuffer to, u64 bytes, u64 offset) override {
    return by_page(bytes, offset, [&](AddressSpace& space, char* page, Gva at, u64 piece, u64 done) -> i64 {
      if (!force_access(space, at, kPermR, [&] { return read_space(space, page, at, piece); })) return -kEIO;
      return taken(to.after(done).put(page, piece));
    });
  }
  i64 write(IoBuffer from, u64 bytes, u64 offset, u64* end) override {
    const i64 done =
        by_page(bytes, offset, [&](AddressSpace& space, char* page, Gva at, u64 piece, u64 so_far) -> i64 {
          const IoBuffer::Copied copied = from.after(so_far).get(page, piece);
          if (copied.bytes == 0) return to_errno(copied.status);
          if (!force_access(space, at, kPermRW, [&] { return write_space(space, at, page, copied.bytes); })) {
            return -kEIO;
          }
          return static_cast<i64>(copied.bytes);
        });
    if (end != nullptr && done > 0) *end = offset + static_cast<u64>(done);
    return done;
  }

 private:
  static i64 taken(const IoBuffer::Copied& copied) {
    return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
  }
  i64 by_page(u64 bytes, u64 offset, FunctionRef<i64(AddressSpace&, char*, Gva, u64, u64)> one) {
    AddressSpace* const space = space_of(tid_, serial_);
    if (space == nullptr) return 0;
    const HeapBuffer page(kPageBytes);
    if (!page) return -kENOMEM;
    u64 done = 0;
    while (done < bytes) {
      const Gva at{offset + done};
      if (guest::is_secret(*space, at)) return done != 0 ? static_cast<i64>(done) : -kEIO;
      const u64 piece = std::min(bytes - done, kPageBytes - (at.value() & kPageMask));
      const i64 moved = one(*space, page.data(), at, piece, done);
      if (moved < 0) return done != 0 ? static_cast<i64>(done) : moved;
      done += static_cast<u64>(moved);
      if (static_cast<u64>(moved) < piece) break;
    }
    return static_cast<i64>(done);
  }
};

// Eight bytes for each page (Documentation/admin-guide/mm/pagemap.rst): whether it is there and whether it is
// a file's or shared. There is no frame number, as for who may not see it, and each page counts as written
// since clear_refs, since only whoever owns paging knows.
class PagemapFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  i64 read(IoBuffer to, u64 bytes, u64 offset) override {
    if (offset % sizeof(u64) != 0 || bytes % sizeof(u64) != 0) return -kEINVAL;
    const AddressSpace* const space = space_of(tid_, serial_);
    const u64 end = kUserRange.end.value() >> kPageShift;
    u64 first = offset / sizeof(u64);
    if (space == nullptr || first >= end) return 0;
    u64 left = std::min(bytes / sizeof(u64), end - first);
    u64 done = 0;
    while (left > 0) {
      u64 entries[kMostResident];
      const u64 count = std::min<u64>(left, kMostResident);
      for (u64 i = 0; i < count; ++i) entries[i] = 0;
      fill(*space, first, count, entries);
      const IoBuffer::Copied copied = to.after(done).put(entries, count * sizeof(u64));
      done += copied.bytes;
      if (copied.status != Status::kOk) {
        return done != 0 ? static_cast<i64>(done) : to_errno(copied.status);
      }
      first += count;
      left -= count;
    }
    return static_cast<i64>(done);
  }

 private:
  static constexpr u64 kSoftDirty = u64{1} << 55, kExclusive = u64{1} << 56, kOfFile = u64{1} << 61,
                       kPresent = u64{1} << 63;
  static void fill(const AddressSpace& space, u64 first, u64 count, u64* entries) {
    const VaRange asked = VaRange::of_pages(Gva{first << kPageShift}, count);
    for (auto vma = space.at_or_after(asked.begin); vma && vma->range.begin < asked.end;
         vma = space.at_or_after(vma->range.end)) {
      const VaRange part = vma->range.intersect(asked);
      const u64 at = (part.begin - asked.begin) >> kPageShift;
      const u64 there = vma->object == nullptr ? space.resident(part).value_or(0) : 0;
      for (u64 page = 0; page < part.pages(); ++page) {
        const bool present = vma->object == nullptr
                                 ? (there >> page & 1) != 0
                                 : space.installed(VaRange::of_pages(part.begin + pages_to_bytes(page), 1))
                                           .value_or(InstalledPages())
                                           .pages != 0;
        entries[at + page] = kSoftDirty | (present ? kPresent : 0) |
                             (present && vma->object == nullptr ? kExclusive : 0) |
                             (present && vma->object != nullptr ? kOfFile : 0);
      }
    }
  }
};

class ClearRefsFile final : public MemoryFile {
 public:
  using MemoryFile::MemoryFile;
  i64 write(IoBuffer from, u64 bytes, u64, u64*) override {
    char text[2] = {};
    const IoBuffer::Copied copied = from.get(text, std::min<u64>(bytes, sizeof text));
    if (copied.status != Status::kOk) return to_errno(copied.status);
    return '1' <= text[0] && text[0] <= '5' && (bytes == 1 || text[1] == '\n') ? static_cast<i64>(bytes)
                                                                               : -kEINVAL;
  }
};

template <class Opened>
class MemoryInode final : public ProcInode<Inode> {
 public:
  MemoryInode(u64 inode_number, u32 permissions, i32 tid)
      : ProcInode(kModeRegular | permissions, inode_number), tid_(tid) {}
  i64 truncate(u64) override { return 0; }
  ErrnoOr<Ref<File>> open(u32 flags) override {
    const Thread* const thread = find_thread(tid_);
    if (thread == nullptr || thread->space == nullptr) return ErrnoFail(kESRCH);
    if (!may_inspect(*thread)) return ErrnoFail(kEACCES);
    Ref<File> file = make_counted<Opened>(Ref<Inode>(this), flags, tid_, thread->space->serial());
    if (!file) return ErrnoFail(kENOMEM);
    return file;
  }

 private:
  i32 tid_;
};

}  // namespace

ErrnoOr<Ref<Inode>> make_memory_file(MemoryFileKind kind, u64 number, i32 tid) {
  switch (kind) {
    case MemoryFileKind::kContents:
      return made<MemoryInode<ContentsFile>>(number, 0600u, tid);
    case MemoryFileKind::kPagemap:
      return made<MemoryInode<PagemapFile>>(number, 0400u, tid);
    case MemoryFileKind::kClearRefs:
      return made<MemoryInode<ClearRefsFile>>(number, 0200u, tid);
  }
  return ErrnoFail(kENOENT);
}

}  // namespace nopte::guest::files
