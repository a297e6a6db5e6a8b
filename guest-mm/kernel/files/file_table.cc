#include "guest-mm/kernel/files/file_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "guest-mm/core/heap.h"

namespace nopte::guest::files {

FileTable::~FileTable() { close_all(); }

u64 FileTable::bound() const {
  for (u64 word = words(); word-- > 0;) {
    if (open_bits_[word] != 0) {
      return word * 64 + static_cast<u64>(std::bit_width(open_bits_[word]));
    }
  }
  return 0;
}

bool FileTable::reserve(u64 descriptors) {
  if (descriptors <= capacity_) {
    return true;
  }
  const u32 capacity = static_cast<u32>(std::bit_ceil(descriptors));
  auto** files = static_cast<File**>(heap_alloc(capacity * sizeof(File*)));
  if (files == nullptr) {
    return false;
  }
  std::memcpy(files, files_, capacity_ * sizeof(File*));
  if (files_ != inline_files_.data()) {
    heap_free(files_, capacity_ * sizeof(File*));
  }
  files_ = files;
  capacity_ = capacity;
  return true;
}

bool FileTable::copy_from(const FileTable& other) {
  const u64 count = other.capacity_ == kInline ? kInline : other.bound();
  if (!reserve(count)) {
    return false;
  }
  for (u64 word = 0; word * 64 < count; ++word) {
    open_bits_[word] = other.open_bits_[word];
    close_bits_[word] = other.close_bits_[word];
    for (u64 left = open_bits_[word]; left != 0; left &= left - 1) {
      const u64 descriptor = word * 64 + static_cast<u64>(std::countr_zero(left));
      files_[descriptor] = other.files_[descriptor];
      files_[descriptor]->retain();
    }
  }
  return true;
}

void FileTable::close_on_exec() {
  for (u64 word = 0; word < words(); ++word) {
    for (u64 left = open_bits_[word] & close_bits_[word]; left != 0; left &= left - 1) {
      close(word * 64 + static_cast<u64>(std::countr_zero(left)));
    }
  }
}

void FileTable::close_all() {
  for (u64 word = 0; word < words(); ++word) {
    // A file's end may run anything; the table is consistent before.
    for (u64 left = std::exchange(open_bits_[word], 0); left != 0; left &= left - 1) {
      Ref<File>::adopt(files_[word * 64 + static_cast<u64>(std::countr_zero(left))]);
    }
  }
  if (files_ != inline_files_.data()) {
    heap_free(files_, capacity_ * sizeof(File*));
    files_ = inline_files_.data();
    capacity_ = kInline;
  }
}

i64 FileTable::insert(Ref<File> file, CloseOnExec close_on_exec, u64 minimum) {
  if (minimum >= kLimit) {
    return -kEINVAL;
  }
  u64 word = minimum / 64;
  u64 free_bits = ~open_bits_[word] & ~u64{0} << (minimum % 64);
  while (free_bits == 0) {
    if (++word == kWords) {
      return -kEMFILE;
    }
    free_bits = ~open_bits_[word];
  }
  return replace(word * 64 + static_cast<u64>(std::countr_zero(free_bits)), std::move(file), close_on_exec);
}

i64 FileTable::replace(u64 descriptor, Ref<File> file, CloseOnExec close_on_exec) {
  if (descriptor >= kLimit) {
    return -kEBADF;
  }
  if (!reserve(descriptor + 1)) {
    return -kENOMEM;
  }
  // The old file's end may run anything; the table is consistent before.
  const Ref<File> old = is_open(descriptor) ? Ref<File>::adopt(files_[descriptor]) : nullptr;
  files_[descriptor] = file.detach();
  open_bits_[descriptor / 64] |= u64{1} << (descriptor % 64);
  set_close_on_exec(descriptor, close_on_exec);
  return static_cast<i64>(descriptor);
}

i64 FileTable::close(u64 descriptor) {
  if (get(descriptor) == nullptr) {
    return -kEBADF;
  }
  const Ref<File> old = Ref<File>::adopt(files_[descriptor]);
  open_bits_[descriptor / 64] &= ~(u64{1} << (descriptor % 64));
  return 0;
}

void FileTable::set_close_on_exec(u64 descriptor, CloseOnExec value) {
  const u64 bit = u64{1} << (descriptor % 64);
  u64& word = close_bits_[descriptor / 64];
  word = value == CloseOnExec::kYes ? word | bit : word & ~bit;
}

}  // namespace nopte::guest::files
