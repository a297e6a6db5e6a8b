// A process's descriptors: numbers to open files. At most 1024; the lowest free number is given out.
#pragma once

#include <array>

#include "guest-mm/kernel/files/file.h"

namespace nopte::guest::files {

enum class CloseOnExec : bool { kNo, kYes };

class FileTable {
 public:
  static constexpr u32 kLimit = 1024;

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
    return descriptor < capacity_ && is_open(descriptor) ? files_[descriptor] : nullptr;
  }
  // The lowest free descriptor >= minimum; -EMFILE, -EINVAL (minimum beyond the limit), -ENOMEM.
  i64 insert(Ref<File> file, CloseOnExec close_on_exec, u64 minimum = 0);
  // Puts the file at exactly this number, closing what was there. -EBADF beyond the limit, -ENOMEM.
  i64 replace(u64 descriptor, Ref<File> file, CloseOnExec close_on_exec);
  // -EBADF when it is not open.
  i64 close(u64 descriptor);

  [[nodiscard]] bool close_on_exec(u64 descriptor) const {
    return close_bits_[descriptor / 64] >> (descriptor % 64) & 1;
  }
  void set_close_on_exec(u64 descriptor, CloseOnExec value);
  // One past the highest open number, for walks.
  [[nodiscard]] u64 bound() const;

 private:
  static constexpr u32 kInline = 16;
  static constexpr u32 kWords = kLimit / 64;

  [[nodiscard]] bool is_open(u64 descriptor) const {
    return open_bits_[descriptor / 64] >> (descriptor % 64) & 1;
  }
  // How many words of the bits may say something.
  [[nodiscard]] u64 words() const { return (capacity_ + 63) / 64; }
  [[nodiscard]] bool reserve(u64 descriptors);

  std::array<u64, kWords> open_bits_{};
  std::array<u64, kWords> close_bits_{};
  std::array<File*, kInline> inline_files_{};
  File** files_ = inline_files_.data();
  u32 capacity_ = kInline;
};

}  // namespace nopte::guest::files
