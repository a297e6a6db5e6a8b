// What /proc's files and directories are made of.
#pragma once

#include <algorithm>
#include <cstring>

#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/names/directory_file.h"
#include "guest-mm/kernel/files/proc/text_builder.h"
#include "pvops/base/panic.h"

namespace nopte::guest::files {

// Inode numbers: the root, its files, a block of them for each process and one for each thread.
inline constexpr u64 kRootNumber = 1;
inline constexpr u64 kFileNumbers = 2;
inline constexpr u64 kSysNumbers = 1 << 12, kSysvipcNumbers = 1 << 13;
inline constexpr u64 kProcessNumbers = 1 << 16;
inline constexpr u64 kPerProcess = 2048;
inline constexpr u64 kDescriptorNumbers = 64;
inline constexpr u64 kThreadNumbers = u64{1} << 40;

constexpr u64 process_number(i32 pid) { return kProcessNumbers + static_cast<u64>(pid) * kPerProcess; }

// Whether nobody changes its mode (proc_setattr, proc_sys_setattr): a process's, and those of /proc/sys.
inline bool keeps_mode(const Inode& inode) {
  const u64 number = inode.number;
  return inode.device_of_file_system() == kProcDevice &&
         (number >= kProcessNumbers || (number >= kSysNumbers && number < kSysvipcNumbers));
}

template <class Base>
class ProcInode : public Base {
 public:
  ProcInode(u32 inode_mode, u64 inode_number) : Base(inode_mode) { Base::number = inode_number; }
  [[nodiscard]] u64 device_of_file_system() const override { return kProcDevice; }
};

// A file whose text is made when it is read from its beginning, so that who keeps it open sees what is then.
class TextInode : public ProcInode<Inode> {
 public:
  using ProcInode::ProcInode;
  // Appends the text; `of`: what open_text was given. Answers 0 or a negative errno, which the read answers.
  virtual i64 tell(TextBuilder& text, u64 of) = 0;
};

class TextFile : public File {
 public:
  TextFile(Ref<Inode> inode, u32 flags, TextInode& source, u64 of)
      : File(std::move(inode), flags), source_(source), of_(of) {}
  [[nodiscard]] bool seekable() const override { return true; }
  i64 read(IoBuffer to, u64 bytes, u64 offset) override {
    if (bytes == 0) return 0;
    if (offset == 0 || !told_) {
      if (const i64 error = tell(); error != 0) return error;
    }
    const std::string_view text = text_.text();
    if (offset >= text.size()) return 0;
    const IoBuffer::Copied copied = to.put(text.data() + offset, std::min(bytes, text.size() - offset));
    return copied.bytes != 0 ? static_cast<i64>(copied.bytes) : to_errno(copied.status);
  }

 private:
  i64 tell() {
    TextBuilder text;
    if (const i64 error = source_.tell(text, of_); error != 0) return error;
    if (text.failed()) return -kENOMEM;
    text_ = std::move(text);
    told_ = true;
    return 0;
  }

  TextInode& source_;  // the file's inode
  u64 of_;
  bool told_ = false;
  TextBuilder text_;
};

// The same, for reading. Errors: kEACCES (to be written), kENOMEM.
ErrnoOr<Ref<File>> open_text(TextInode& inode, u32 flags, u64 of = 0);

// A link with a text, and for what has no path, straight to the inode.
class ProcLink final : public ProcInode<Inode> {
 public:
  static constexpr u64 kTextBytes = 272;

  // What a thread has: who may inspect it alone sees it.
  ProcLink(u64 inode_number, Ref<Inode> target, i32 tid)
      : ProcInode(kModeSymlink | 0777, inode_number), tid_(tid) {
    set_text(*target);
    target_ = std::move(target);
  }
  ProcLink(u64 inode_number, std::string_view text) : ProcInode(kModeSymlink | 0777, inode_number) {
    bytes_ = std::min<u64>(text.size(), kTextBytes);
    std::memcpy(text_, text.data(), bytes_);
  }
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kELOOP); }
  // Empty: longer than a path may be.
  [[nodiscard]] std::string_view link_text() const override { return {long_ ? long_.data() : text_, bytes_}; }
  Ref<Inode> follow() const override { return target_; }
  [[nodiscard]] i64 may_see_target() const override;

 private:
  void set_text(const Inode& target);
  // False: it has no path.
  bool set_path(const Inode& target);

  Ref<Inode> target_;
  i32 tid_ = 0;  // 0: everybody may
  u64 bytes_ = 0;
  char text_[kTextBytes];
  HeapBuffer long_;  // where that is too short
};

template <class T, class... Args>
ErrnoOr<Ref<Inode>> made(Args&&... args) {
  Ref<Inode> inode = make_counted<T>(std::forward<Args>(args)...);
  if (!inode) {
    return ErrnoFail(kENOMEM);
  }
  return inode;
}

class ProcDirectory : public ProcInode<Directory> {
 public:
  // `above` is held: a path may lead back up through it.
  ProcDirectory(u64 inode_number, Ref<Inode> above, std::string_view name, u32 permissions = 0555)
      : ProcInode(kModeDirectory | permissions, inode_number),
        above_(std::move(above)),
        name_bytes_(name.size()) {
    links = 2;
    parent = above_ ? above_->as_directory() : nullptr;
    NOPTE_ASSERT(name.size() <= sizeof name_);
    std::memcpy(name_, name.data(), name.size());
  }
  ErrnoOr<Ref<File>> open(u32 flags) override { return open_directory(*this, flags); }
  bool entry_name(const Inode& inode, std::string_view& name) const override {
    // Only directories of this kind have one as their parent.
    const auto& child = static_cast<const ProcDirectory&>(inode);
    name = {child.name_, child.name_bytes_};
    return true;
  }

 private:
  Ref<Inode> above_;
  u64 name_bytes_;
  char name_[24];
};

// Files in /proc/<pid> that are not texts (proc_memory_files.cc). Errors: kENOMEM.
enum class MemoryFileKind : u8 { kContents, kPagemap, kClearRefs };
ErrnoOr<Ref<Inode>> make_memory_file(MemoryFileKind kind, u64 number, i32 tid);

// /proc/<pid>, if there is such a thread. Errors: kENOENT, kENOMEM.
ErrnoOr<Ref<Inode>> make_process_directory(std::string_view name, Ref<Inode> above);

}  // namespace nopte::guest::files
