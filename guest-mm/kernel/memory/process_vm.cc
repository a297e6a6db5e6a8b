// process_vm_readv and process_vm_writev (mm/process_vm_access.c of Linux 6.12).
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/io_buffer.h"
#include "guest-mm/kernel/memory/space_memory.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u64 kMostVectors = 1024;  // UIO_MAXIOV
constexpr u64 kMostBytes = 0x7fff'f000;

struct Vector {
  u64 address;
  u64 bytes;
};

// The vectors of one side, in kernel memory, and how far they are done.
class Vectors {
 public:
  // Errors: -EFAULT, -EINVAL, -ENOMEM. `local`: their memory is the running process's.
  i64 load(u64 address, u64 count, bool local) {
    if (count > kMostVectors) return -kEINVAL;
    count_ = count;
    if (count == 0) return 0;
    storage_ = HeapBuffer(count * sizeof(Vector));
    if (!storage_) return -kENOMEM;
    if (!arch::copy_from_user(storage_.data(), Gva{address}, count * sizeof(Vector))) return -kEFAULT;
    u64 total = 0;
    for (u64 i = 0; i < count; ++i) {
      Vector& one = at(i);
      if (static_cast<i64>(one.bytes) < 0) return -kEINVAL;
      if (local && one.bytes != 0 &&
          (one.address > kUserRange.end.value() || one.bytes > kUserRange.end.value() - one.address)) {
        return -kEFAULT;
      }
      one.bytes = std::min(one.bytes, kMostBytes - total);
      total += one.bytes;
    }
    return 0;
  }
  // Bytes that lie one after the other from here on; 0: all are done.
  u64 piece() {
    while (index_ < count_ && at(index_).bytes == 0) ++index_;
    return index_ < count_ ? at(index_).bytes : 0;
  }
  [[nodiscard]] u64 address() const { return at(index_).address; }
  void done(u64 bytes) {
    at(index_).address += bytes;
    at(index_).bytes -= bytes;
  }

 private:
  [[nodiscard]] Vector& at(u64 index) const { return reinterpret_cast<Vector*>(storage_.data())[index]; }
  HeapBuffer storage_;
  u64 count_ = 0;
  u64 index_ = 0;
};

// Page by page of the other side: what is in one is moved, or nothing of it is.
i64 move(const SyscallArgs& args, bool write) {
  if (args.a5 != 0) return -kEINVAL;
  Vectors local;
  Vectors remote;
  if (const i64 error = local.load(args.a1, args.a2, true); error != 0) return error;
  if (local.piece() == 0) return 0;
  if (const i64 error = remote.load(args.a3, args.a4, false); error != 0) return error;
  if (remote.piece() == 0) return 0;
  const Thread* const thread = find_thread(static_cast<i32>(args.a0));
  AddressSpace* const space = thread != nullptr ? thread->space : nullptr;
  if (space == nullptr) return -kESRCH;
  if (!may_inspect(*thread)) return -kEPERM;
  const HeapBuffer page(kPageBytes);
  if (!page) return -kENOMEM;
  u64 moved = 0;
  i64 error = 0;
  while (error == 0 && local.piece() != 0 && remote.piece() != 0) {
    const Gva at{remote.address()};
    const u64 bytes = std::min({local.piece(), remote.piece(), kPageBytes - (at.value() & kPageMask)});
    const files::IoBuffer here = files::IoBuffer::user(local.address());
    u64 copied = bytes;
    if (is_secret(*space, at)) {
      copied = 0;
    } else if (write) {
      copied = here.get(page.data(), bytes).bytes;
      if (copied != 0 && !write_space(*space, at, page.data(), copied)) copied = 0;
    } else {
      copied = read_space(*space, page.data(), at, bytes) ? here.put(page.data(), bytes).bytes : 0;
    }
    local.done(copied);
    remote.done(copied);
    moved += copied;
    if (copied < bytes) error = -kEFAULT;
  }
  return moved != 0 ? static_cast<i64>(moved) : error;
}

}  // namespace

i64 sys_process_vm_readv(const SyscallArgs& args) { return move(args, false); }
i64 sys_process_vm_writev(const SyscallArgs& args) { return move(args, true); }

}  // namespace nopte::guest
