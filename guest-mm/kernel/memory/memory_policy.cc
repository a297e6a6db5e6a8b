// NUMA policies, protection keys and what else is about hardware that this machine has not, as Linux answers
// with one node and without keys (mm/mempolicy.c, mm/migrate.c of 6.12, mm/mprotect.c).
#include <algorithm>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

using files::get_user;
using files::put_user;

namespace {

// uapi/linux/mempolicy.h
enum PolicyMode : u32 { kDefault, kPreferred, kBind, kInterleave, kLocal, kPreferredMany, kWeighted };
constexpr u32 kStaticNodes = 1 << 15, kRelativeNodes = 1 << 14, kBalancing = 1 << 13;
constexpr u64 kMoveStrict = 1, kMove = 2, kMoveAll = 4;
constexpr u64 kOfNode = 1, kOfAddress = 2, kAllowed = 4;
constexpr u64 kMostMaskBits = kPageBytes * 8;

// Node 0 and whether others were named: there is none, which of those are is ignored beside it.
struct Nodes {
  bool first = false;
  bool others = false;
  [[nodiscard]] bool none() const { return !first && !others; }
};

// Errors: -EINVAL, -EFAULT.
i64 load_nodes(u64 address, u64 bits, Nodes& nodes) {
  // The last bit is not one (get_nodes).
  if (--bits == 0 || address == 0) return 0;
  if (bits > kMostMaskBits) return -kEINVAL;
  for (u64 done = 0; done < bits; done += 64) {
    u64 word = 0;
    if (get_user(word, address + done / 8) != 0) return -kEFAULT;
    if (bits - done < 64) word &= (u64{1} << (bits - done)) - 1;
    nodes.first = nodes.first || (done == 0 && (word & 1) != 0);
    nodes.others = nodes.others || (done == 0 ? word >> 1 : word) != 0;
  }
  return 0;
}

i64 check_policy(u64 value, const Nodes& nodes) {
  const u32 flags = static_cast<u32>(value) & (kStaticNodes | kRelativeNodes | kBalancing);
  const u32 mode = static_cast<u32>(value) & ~flags;
  if (mode > kWeighted || (flags & (kStaticNodes | kRelativeNodes)) == (kStaticNodes | kRelativeNodes)) {
    return -kEINVAL;
  }
  if ((flags & kBalancing) != 0 && mode != kBind && mode != kPreferredMany) return -kEINVAL;
  switch (mode) {
    case kDefault:
      return nodes.none() ? 0 : -kEINVAL;
    case kLocal:
      return nodes.none() && (flags & (kStaticNodes | kRelativeNodes)) == 0 ? 0 : -kEINVAL;
    case kPreferred:
      return nodes.none() ? (flags == 0 ? 0 : -kEINVAL) : nodes.first ? 0 : -kEINVAL;
    default:
      return nodes.first ? 0 : -kEINVAL;
  }
}

// All of a process is on the one node, whatever its policy: what was said is kept to be told again, in six
// bits.
constexpr u8 packed(u64 value, const Nodes& nodes) {
  return static_cast<u8>((value & 7) | (value >> 14 & 3) << 3 | (nodes.first ? 1 : 0) << 5);
}
constexpr u32 mode_of(u8 policy) { return (policy & 7u) | (policy >> 3 & 3u) << 14; }
constexpr bool first_of(u8 policy) { return (policy >> 5 & 1) != 0; }

i64 put_nodes(u64 address, u64 bits, bool first) {
  if (address == 0) return 0;
  if (bits - 1 > kMostMaskBits) return -kEINVAL;
  for (u64 done = 0; done + 1 < bits; done += 64) {
    if (put_user(address + done / 8, u64{first && done == 0}) != 0) return -kEFAULT;
  }
  return 0;
}

const AddressSpace* space_of(u64 number) {
  const auto pid = static_cast<i32>(number);
  const Thread* const thread = pid == 0 ? &current() : find_thread(pid);
  return thread != nullptr ? thread->space : nullptr;
}

// Where a page is: on node 0, not there, or not mapped.
i32 place_of(const AddressSpace& space, u64 address) {
  const Gva page = Gva{address}.page_base();
  if (!kUserRange.contains(VaRange::of_pages(page, 1)) || !space.find(page)) return -i32{kEFAULT};
  const Result<u64> there = space.resident(VaRange::of_pages(page, 1));
  return there && (*there & 1) != 0 ? 0 : -i32{kENOENT};
}

}  // namespace

i64 sys_set_mempolicy(const SyscallArgs& args) {
  Nodes nodes;
  if (static_cast<i32>(args.a0) < 0) return -kEINVAL;
  if (const i64 error = load_nodes(args.a1, args.a2, nodes); error != 0) return error;
  if (const i64 error = check_policy(args.a0, nodes); error != 0) return error;
  current().memory_policy = packed(args.a0, nodes);
  return 0;
}

i64 sys_get_mempolicy(const SyscallArgs& args) {
  const u64 flags = args.a4;
  if (args.a1 != 0 && args.a2 == 0) return -kEINVAL;
  if ((flags & ~(kOfNode | kOfAddress | kAllowed)) != 0) return -kEINVAL;
  u8 policy = current().memory_policy;
  bool is_node = false;
  if ((flags & kAllowed) != 0) {
    if ((flags & (kOfNode | kOfAddress)) != 0) return -kEINVAL;
    policy = packed(kDefault, {.first = true});
  } else if ((flags & kOfAddress) != 0) {
    const auto vma = space().find(Gva{args.a3});
    if (!vma) return -kEFAULT;
    const u32 bound = (vma->flags & kVmaPolicyMask) >> kVmaPolicyShift;
    policy = bound != 0 ? static_cast<u8>(bound) : policy;
    is_node = (flags & kOfNode) != 0;
  } else {
    if (args.a3 != 0) return -kEINVAL;
    is_node = (flags & kOfNode) != 0;
    if (is_node && (policy & 7) != kInterleave && (policy & 7) != kWeighted) return -kEINVAL;
  }
  if (args.a0 != 0 && put_user(args.a0, is_node ? 0 : mode_of(policy)) != 0) return -kEFAULT;
  return put_nodes(args.a1, args.a2, first_of(policy));
}

i64 sys_mbind(const SyscallArgs& args) {
  const u64 start = args.a0;
  Nodes nodes;
  if (static_cast<i32>(args.a2) < 0) return -kEINVAL;
  if (const i64 error = load_nodes(args.a3, args.a4, nodes); error != 0) return error;
  if ((static_cast<u32>(args.a5) & ~(kMoveStrict | kMove | kMoveAll)) != 0) return -kEINVAL;
  if (!aligned(start)) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (start + bytes < start) return -kEINVAL;
  if (bytes == 0) return 0;
  if (const i64 error = check_policy(args.a2, nodes); error != 0) return error;
  const VaRange range = range_of(start, bytes);
  if (!space().covered(range)) return -kEFAULT;
  return answer(space().mark(range, kVmaPolicyMask, u32{packed(args.a2, nodes)} << kVmaPolicyShift));
}

// Which of the nodes of a policy is the first choice: there is one.
i64 sys_set_mempolicy_home_node(const SyscallArgs& args) {
  const u64 start = args.a0;
  if (!aligned(start) || args.a3 != 0 || args.a2 != 0) return -kEINVAL;
  const u64 bytes = round_up(args.a1);
  if (start + bytes < start) return -kEINVAL;
  if (bytes == 0) return 0;
  i64 result = -kENOENT;
  const i64 error = for_each_part(range_of(start, bytes), [&](const Vma& vma, VaRange) -> i64 {
    const u32 policy = (vma.flags & kVmaPolicyMask) >> kVmaPolicyShift;
    if (policy == 0) return 0;
    const u32 mode = policy & 7;
    if (mode != kBind && mode != kPreferredMany) return -kEOPNOTSUPP;
    result = 0;
    return 0;
  });
  return error == -kEOPNOTSUPP ? error : result;
}

i64 sys_migrate_pages(const SyscallArgs& args) {
  Nodes from;
  Nodes to;
  if (const i64 error = load_nodes(args.a2, args.a1, from); error != 0) return error;
  if (const i64 error = load_nodes(args.a3, args.a1, to); error != 0) return error;
  if (space_of(args.a0) == nullptr) return -kESRCH;
  return to.first ? 0 : -kEINVAL;
}

i64 sys_move_pages(const SyscallArgs& args) {
  const u64 count = args.a1;
  if ((static_cast<u32>(args.a5) & ~(kMove | kMoveAll)) != 0) return -kEINVAL;
  const AddressSpace* const of = space_of(args.a0);
  if (of == nullptr) return -kESRCH;
  for (u64 i = 0; i < count; ++i) {
    u64 address = 0;
    i32 node = 0;
    if (get_user(address, args.a2 + i * sizeof(address)) != 0) return -kEFAULT;
    if (args.a3 != 0) {
      if (get_user(node, args.a3 + i * sizeof(node)) != 0) return -kEFAULT;
      if (node != 0) return -kENODEV;
    }
    if (put_user(args.a4 + i * sizeof(i32), place_of(*of, address)) != 0) return -kEFAULT;
  }
  return 0;
}

// Without protection keys in the processor there is none to have; -1 is none.
i64 sys_pkey_alloc(const SyscallArgs&) { return -kEINVAL; }
i64 sys_pkey_free(const SyscallArgs&) { return -kEINVAL; }
i64 sys_pkey_mprotect(const SyscallArgs& args) {
  return static_cast<i32>(args.a3) == -1 ? sys_mprotect(args) : -kEINVAL;
}

}  // namespace nopte::guest
