// A process's descriptors: numbers to open files. At most 1024; the lowest free number is given out.
#pragma once

#include <array>

#include "guest-mm/kernel/files/file.h"

namespace nopte::guest::files {

enum class CloseOnExec : bool { kNo, kYes };

class FileTable {
 public:
  static constexpr u32 kMost = 1 << 20;  // Linux's sysctl_nr_open

  FileTable() = default;
  FileTable(const FileTable&) = delete;
  FileTable& operator=(const FileTable&) = delete;
  ~FileTable();  // closes everything

  // Makes this empty table a copy of `other` (fork): the files are shared. False: no memory, still empty.
  [[nodiscard]] bool copy_from(const FileTable& other);
  // Closes what exec closes.
  void close_on_exec();
  void close_all();

  // The open file, or null. Valid until the descriptor closes: hold a Ref across anything that blocks.
  [[nodiscard]] File* get(u64 descriptor) const {
    return descriptor < capacity_ ? files_[descriptor] : nullptr;
  }
  // New descriptors are below it (RLIMIT_NOFILE); higher ones that are open stay. At most kMost.
  [[nodiscard]] u32 limit() const { return limit_; }
  void set_limit(u32 limit) { limit_ = limit; }
  // Whether so many descriptors are free.
  [[nodiscard]] bool has_room(u32 descriptors = 1) const;
  // The lowest free descriptor >= minimum; -EMFILE, -EINVAL (minimum beyond the limit), -ENOMEM.
  i64 insert(Ref<File> file, CloseOnExec close_on_exec, u64 minimum = 0);
  // Puts the file at exactly this number, closing what was there. -EBADF beyond the limit, -ENOMEM.
  i64 replace(u64 descriptor, Ref<File> file, CloseOnExec close_on_exec);
  // -EBADF when it is not open.
  i64 close(u64 descriptor);

  [[nodiscard]] bool close_on_exec(u64 descriptor) const {
    return bits_[words() + descriptor / 64] >> (descriptor % 64) & 1;
  }
  void set_close_on_exec(u64 descriptor, CloseOnExec value);
  // How many numbers there is room for now; it grows.
  [[nodiscard]] u64 capacity() const { return capacity_; }
  // One past the highest open number, for walks.
  [[nodiscard]] u64 bound() const;

 private:
  static constexpr u32 kInline = 16;
  static constexpr u32 kUsualLimit = 1024;

  // Words of bits for the open descriptors, and as many for those that exec closes.
  static constexpr u64 words_of(u64 capacity) { return (capacity + 63) / 64; }
  [[nodiscard]] u64 words() const { return words_of(capacity_); }
  static constexpr u64 block_bytes(u64 capacity) {
    return capacity * sizeof(File*) + 2 * words_of(capacity) * sizeof(u64);
  }
  [[nodiscard]] u64* close_bits() { return bits_ + words(); }
  [[nodiscard]] u64 lowest_free(u64 minimum) const;
  [[nodiscard]] bool reserve(u64 descriptors);
  void give_back_block();

  // The files and behind them the bits are one block once there are more than fit here.
  std::array<File*, kInline> inline_files_{};
  std::array<u64, 2> inline_bits_{};
  File** files_ = inline_files_.data();  // null where nothing is open
  u64* bits_ = inline_bits_.data();
  u32 capacity_ = kInline;
  u32 limit_ = kUsualLimit;
};

}  // namespace nopte::guest::files
