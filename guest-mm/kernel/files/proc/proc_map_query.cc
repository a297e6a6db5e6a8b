// ioctl(PROCMAP_QUERY) of /proc/<pid>/maps: one mapping, by its address (do_procmap_query of
// fs/proc/task_mmu.c, Linux 6.12).
#include <algorithm>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/linux_abi.h"
#include "guest-mm/kernel/files/proc/proc_texts.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/thread.h"

namespace nopte::guest::files {

namespace {

// uapi/linux/fs.h
constexpr u32 kProcMapQuery = 0xc068'6611;
constexpr u64 kReadable = 0x1, kWritable = 0x2, kExecutable = 0x4, kShared = 0x8, kCoveringOrNext = 0x10,
              kFileBacked = 0x20;
constexpr u64 kRights = kReadable | kWritable | kExecutable | kShared;
constexpr u64 kKnownFlags = kRights | kCoveringOrNext | kFileBacked;

struct ProcMapQuery {
  u64 bytes;  // of the program's version of this
  u64 flags;
  u64 address;
  u64 start, end, rights, page_bytes, offset, inode;
  u32 major, minor;
  u32 name_bytes, build_id_bytes;  // there is room for; what is told of
  u64 name, build_id;              // where to
};
static_assert(sizeof(ProcMapQuery) == 104);

u64 rights_of(const Vma& vma) {
  return (vma.perm.read() ? kReadable : 0) | (vma.perm.write() ? kWritable : 0) |
         (vma.perm.exec() ? kExecutable : 0) | (vma.sharing == Sharing::kShared ? kShared : 0);
}

bool fits(const Vma& vma, u64 flags) {
  return ((flags & kFileBacked) == 0 || vma.object != nullptr) && (flags & kRights & ~rights_of(vma)) == 0;
}

// The name with its end, into the program's memory. -ENAMETOOLONG: there is no room for it.
i64 put_name(const Thread& thread, const Vma& vma, ProcMapQuery& query) {
  const std::string_view name = mapping_name(thread, vma);
  const u64 bytes = name.empty() ? 0 : name.size() + 1;
  if (bytes > std::min<u64>(query.name_bytes, kPathBytes)) {
    return -kENAMETOOLONG;
  }
  query.name_bytes = static_cast<u32>(bytes);
  if (bytes == 0) {
    return 0;
  }
  const bool done = arch::copy_to_user(Gva{query.name}, name.data(), name.size()) &&
                    put_user(query.name + name.size(), char{0}) == 0;
  return done ? 0 : -kEFAULT;
}

}  // namespace

i64 query_mapping(const Thread& thread, u32 request, u64 argument) {
  if (request != kProcMapQuery) {
    return -kENOTTY;
  }
  ProcMapQuery query{};
  u64 bytes = 0;
  if (const i64 error = get_user(bytes, argument); error != 0) {
    return error;
  }
  if (const i64 error = get_grown_user(query, argument, bytes, offsetof(ProcMapQuery, start)); error != 0) {
    return error;
  }
  if ((query.flags & ~kKnownFlags) != 0 || (query.name_bytes != 0) != (query.name != 0) ||
      (query.build_id_bytes != 0) != (query.build_id != 0)) {
    return -kEINVAL;
  }
  std::optional<Vma> found;
  bool passed = false;  // one that lies there, but is not what is wanted
  for_each_mapping(thread, [&](const Vma& vma) {
    if (found || passed || vma.range.end.value() <= query.address) {
      return;
    }
    const bool next = (query.flags & kCoveringOrNext) != 0;
    if (fits(vma, query.flags) && (next || vma.range.begin.value() <= query.address)) {
      found = vma;
    } else {
      passed = !next;
    }
  });
  if (!found) {
    return -kENOENT;
  }
  query.start = found->range.begin.value();
  query.end = found->range.end.value();
  query.rights = rights_of(*found);
  query.page_bytes = kPageBytes;
  const bool file = found->object != nullptr;
  query.offset = file ? found->offset_bytes : 0;
  query.inode = file ? found->object->inode() : 0;
  query.major = 0;
  query.minor = file ? kMapsDeviceMinor : 0;
  query.build_id_bytes = 0;  // nobody looks for one
  if (query.name_bytes != 0) {
    if (const i64 error = put_name(thread, *found, query); error != 0) {
      return error;
    }
  }
  return arch::copy_to_user(Gva{argument}, &query, std::min<u64>(bytes, sizeof query)) ? 0 : -kEFAULT;
}

}  // namespace nopte::guest::files
