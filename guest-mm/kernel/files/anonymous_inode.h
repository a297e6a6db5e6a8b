// Open files that no name ever led to: eventfd, epoll, timerfd, signalfd. Each has an inode that says what it
// is, whose link in /proc/<pid>/fd reads anon_inode:[name] and cannot be opened.
#pragma once

#include "guest-mm/kernel/files/call_support.h"

namespace nopte::guest::files {

enum class AnonymousKind : u8 { kEventFd, kEventPoll, kTimerFd, kSignalFd };

class AnonymousInode final : public Inode {
 public:
  explicit AnonymousInode(AnonymousKind kind) : Inode(0600), kind_(kind) {}
  [[nodiscard]] const AnonymousInode* as_anonymous() const override { return this; }
  ErrnoOr<Ref<File>> open(u32) override { return ErrnoFail(kENXIO); }
  [[nodiscard]] AnonymousKind kind() const { return kind_; }
  [[nodiscard]] u64 device_of_file_system() const override { return kAnonymousDevice; }
  [[nodiscard]] std::string_view name() const {
    constexpr std::string_view kNames[] = {"eventfd", "eventpoll", "timerfd", "signalfd"};
    return kNames[static_cast<u8>(kind_)];
  }

 private:
  AnonymousKind kind_;
};

// The file as what T says with T::kKind; null when it is something else.
template <class T>
[[nodiscard]] T* anonymous_file(File& file) {
  const AnonymousInode* const inode = file.inode()->as_anonymous();
  // O_PATH leads here through /proc, too, with a file of another class.
  return inode != nullptr && inode->kind() == T::kKind && !file.path_only() ? static_cast<T*>(&file)
                                                                            : nullptr;
}

// A descriptor of a new T. flags: kOpenNonBlock, kOpenCloseOnExec. -EMFILE, -ENOMEM.
template <class T, class... Args>
[[nodiscard]] i64 insert_anonymous(u32 flags, Args&&... args) {
  Ref<Inode> inode = make_counted<AnonymousInode>(T::kKind);
  Ref<File> file = inode ? make_counted<T>(std::move(inode), (flags & kOpenNonBlock) | kOpenReadWrite,
                                           std::forward<Args>(args)...)
                         : Ref<T>();
  if (!file) {
    return -kENOMEM;
  }
  return current_files().table.insert(std::move(file),
                                      (flags & kOpenCloseOnExec) != 0 ? CloseOnExec::kYes : CloseOnExec::kNo);
}

}  // namespace nopte::guest::files
