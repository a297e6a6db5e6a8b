// kcmp(2): whether two threads have one and the same of something. The order of what is not the same is that
// of its addresses: it means nothing, but stays.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

i64 order(const void* a, const void* b) {
  const auto x = reinterpret_cast<u64>(a);
  const auto y = reinterpret_cast<u64>(b);
  return x == y ? 0 : x < y ? 1 : 2;
}

const files::File* open_file(const Thread& thread, u64 descriptor) {
  return thread.files == nullptr ? nullptr : thread.files->table.get(static_cast<u32>(descriptor));
}

const void* actions(const Thread& thread) {
  const GroupSignals& signals = thread.process->signals;
  return signals.shared != nullptr ? static_cast<const void*>(signals.shared) : &signals;
}

}  // namespace

i64 sys_kcmp(const SyscallArgs& args) {
  enum : u32 { kFile, kMemory, kFiles, kDirectories, kActions, kIo, kUndo };
  const Thread* const a = find_thread(static_cast<i32>(args.a0));
  const Thread* const b = find_thread(static_cast<i32>(args.a1));
  if (a == nullptr || b == nullptr) return -kESRCH;
  if (!may_inspect(*a) || !may_inspect(*b)) return -kEPERM;
  switch (static_cast<u32>(args.a2)) {
    case kFile: {
      const files::File* const one = open_file(*a, args.a3);
      const files::File* const other = open_file(*b, args.a4);
      return one != nullptr && other != nullptr ? order(one, other) : -kEBADF;
    }
    case kMemory:
      return order(a->space, b->space);
    case kFiles:
      return order(a->files, b->files);
    case kDirectories:
      return order(a->directories, b->directories);
    case kActions:
      return order(actions(*a), actions(*b));
    case kIo:
      return 0;  // nobody has any
    case kUndo:
      return order(a->process->semaphore_undos, b->process->semaphore_undos);
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
