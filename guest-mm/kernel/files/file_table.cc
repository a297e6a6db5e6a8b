#include "guest-mm/kernel/files/file_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/inode.h"
#include "guest-mm/kernel/net/passed_files.h"

namespace nopte::guest::files {

namespace {

[[gnu::noinline, gnu::cold]] void drop_locks(const File& file, const FileTable* owner) {
  if (!file.path_only()) {
    file.inode()->locks->drop(owner);
  }
}

// The reference of a descriptor that is no more, and what the process locked of the file.
inline void let_go(File* file, const FileTable* owner) {
  if (Inode* const inode = file->inode(); inode != nullptr && inode->locks) [[unlikely]] {
    drop_locks(*file, owner);
  }
  file->release();
}

}  // namespace

FileTable::~FileTable() { close_all(); }

u64 FileTable::bound() const {
  for (u64 word = words(); word-- > 0;) {
    if (bits_[word] != 0) {
      return word * 64 + static_cast<u64>(std::bit_width(bits_[word]));
    }
  }
  return 0;
}

void FileTable::give_back_block() {
  if (files_ != inline_files_.data()) {
    heap_free(files_, block_bytes(capacity_));
  } else {
    inline_files_ = {};
    inline_bits_ = {};
  }
}

bool FileTable::reserve(u64 descriptors) {
  if (descriptors <= capacity_) {
    return true;
  }
  const u64 capacity = std::bit_ceil(std::max<u64>(descriptors, 64));
  auto** files = static_cast<File**>(heap_alloc(block_bytes(capacity)));
  if (files == nullptr) {
    return false;
  }
  auto* const bits = reinterpret_cast<u64*>(files + capacity);
  std::memset(files, 0, block_bytes(capacity));
  std::memcpy(files, files_, capacity_ * sizeof(File*));
  std::memcpy(bits, bits_, words() * sizeof(u64));
  std::memcpy(bits + words_of(capacity), close_bits(), words() * sizeof(u64));
  give_back_block();
  files_ = files;
  bits_ = bits;
  capacity_ = static_cast<u32>(capacity);
  return true;
}

bool FileTable::copy_from(const FileTable& other) {
  const u64 count = other.capacity_ == kInline ? kInline : other.bound();
  if (!reserve(count)) {
    return false;
  }
  limit_ = other.limit_;
  for (u64 word = 0; word * 64 < count; ++word) {
    bits_[word] = other.bits_[word];
    close_bits()[word] = other.bits_[other.words() + word];
    for (u64 left = bits_[word]; left != 0; left &= left - 1) {
      const u64 descriptor = word * 64 + static_cast<u64>(std::countr_zero(left));
      files_[descriptor] = other.files_[descriptor];
      files_[descriptor]->retain();
    }
  }
  return true;
}

void FileTable::close_on_exec() {
  for (u64 word = 0; word < words(); ++word) {
    for (u64 left = bits_[word] & close_bits()[word]; left != 0; left &= left - 1) {
      close(word * 64 + static_cast<u64>(std::countr_zero(left)));
    }
  }
}

void FileTable::close_all() {
  for (u64 word = 0; word < words(); ++word) {
    // A file's end may run anything; the table is consistent before.
    for (u64 left = std::exchange(bits_[word], 0); left != 0; left &= left - 1) {
      let_go(std::exchange(files_[word * 64 + static_cast<u64>(std::countr_zero(left))], nullptr), this);
    }
  }
  if (files_ != inline_files_.data()) {
    give_back_block();
    files_ = inline_files_.data();
    bits_ = inline_bits_.data();
    capacity_ = kInline;
  }
  if (net::sockets_on_their_way()) {
    net::close_unreachable();
  }
}

u64 FileTable::lowest_free(u64 minimum) const {
  u64 keep = ~u64{0} << (minimum % 64);
  for (u64 word = minimum / 64; word < words(); ++word, keep = ~u64{0}) {
    if (const u64 free = ~bits_[word] & keep; free != 0) {
      return word * 64 + static_cast<u64>(std::countr_zero(free));
    }
  }
  return std::max<u64>(minimum, words() * 64);
}

bool FileTable::has_room(u32 descriptors) const {
  u64 next = 0;
  for (; descriptors > 0 && next < limit_; ++next) {
    next = lowest_free(next);
    --descriptors;
  }
  return descriptors == 0 && next <= limit_;
}

i64 FileTable::insert(Ref<File> file, CloseOnExec close_on_exec, u64 minimum) {
  if (minimum >= limit_) {
    return minimum == 0 ? -kEMFILE : -kEINVAL;
  }
  const u64 descriptor = lowest_free(minimum);
  return descriptor < limit_ ? replace(descriptor, std::move(file), close_on_exec) : -kEMFILE;
}

i64 FileTable::replace(u64 descriptor, Ref<File> file, CloseOnExec close_on_exec) {
  if (descriptor >= limit_) {
    return -kEBADF;
  }
  if (!reserve(descriptor + 1)) {
    return -kENOMEM;
  }
  // The old file's end may run anything; the table is consistent before.
  File* const old = std::exchange(files_[descriptor], file.detach());
  bits_[descriptor / 64] |= u64{1} << (descriptor % 64);
  set_close_on_exec(descriptor, close_on_exec);
  if (old != nullptr) {
    let_go(old, this);
  }
  return static_cast<i64>(descriptor);
}

i64 FileTable::close(u64 descriptor) {
  if (get(descriptor) == nullptr) {
    return -kEBADF;
  }
  File* const old = std::exchange(files_[descriptor], nullptr);
  bits_[descriptor / 64] &= ~(u64{1} << (descriptor % 64));
  let_go(old, this);
  return 0;
}

void FileTable::set_close_on_exec(u64 descriptor, CloseOnExec value) {
  const u64 bit = u64{1} << (descriptor % 64);
  u64& word = close_bits()[descriptor / 64];
  word = value == CloseOnExec::kYes ? word | bit : word & ~bit;
}

}  // namespace nopte::guest::files
