// What the area and the sections hold is the program's: nothing of it can be trusted. Checks and their order
// are Linux's (kernel/rseq.c).
#include "guest-mm/kernel/process/rseq.h"

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/syscall.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

constexpr u32 kFirstBytes = 32;  // of the first version, whose users know no other
constexpr u32 kFlagUnregister = 1;
constexpr i32 kUnregistered = -1;  // RSEQ_CPU_ID_UNINITIALIZED

// The area: struct rseq.
struct Processor {
  u32 cpu_start;
  i32 cpu;
};
struct Node {
  u32 node, concurrency;
};
constexpr u64 kSectionAt = 8, kFlagsAt = 16, kNodeAt = 20;

// struct rseq_cs.
struct Section {
  u32 version, flags;
  u64 begin, bytes, abort;

  [[nodiscard]] bool contains(u64 address) const { return address - begin < bytes; }
  [[nodiscard]] bool sensible() const {
    constexpr u64 kEnd = kUserRange.end.value();
    return begin < kEnd && begin + bytes < kEnd && begin + bytes >= begin && abort < kEnd && version == 0 &&
           !contains(abort);
  }
};
static_assert(sizeof(Section) == 32);

bool get(u64 address, auto& value) {
  return arch::copy_from_user(&value, Gva{address}, sizeof(value)).has_value();
}
bool put(u64 address, const auto& value) {
  return arch::copy_to_user(Gva{address}, &value, sizeof(value)).has_value();
}

bool name_no_section(u64 area) { return put(area + kSectionAt, u64{0}); }

bool describe_processor(u64 area, i32 cpu) {
  return put(area, Processor{0, cpu}) && put(area + kNodeAt, Node{0, 0});
}

i64 unregister(Rseq& rseq, const Rseq& named) {
  if (rseq.area == 0 || named.area != rseq.area || named.bytes != rseq.bytes) {
    return -kEINVAL;
  }
  if (named.signature != rseq.signature) {
    return -kEPERM;
  }
  if (!describe_processor(rseq.area, kUnregistered)) {
    return -kEFAULT;
  }
  rseq = {};
  return 0;
}

bool well_formed(const Rseq& rseq) {
  return rseq.bytes == kFirstBytes
             ? rseq.area % kFirstBytes == 0
             : rseq.bytes > kFirstBytes && rseq.area % kRseqAlign == 0 && rseq.bytes >= kRseqFeatureBytes;
}

// leave_critical_section(), where the area names the section at `at`.
[[gnu::noinline]] bool leave_section(const Rseq& rseq, UserRegisters& registers, u64 at) {
  Section section;
  u32 signature = 0;
  if (!get(at, section) || !section.sensible() || !get(section.abort - sizeof(signature), signature) ||
      signature != rseq.signature) {
    return false;
  }
  if (!section.contains(registers.rip)) {
    return name_no_section(rseq.area);
  }
  // Flags that would let the section go on are no longer there, as on Linux.
  u32 flags = 0;
  if (section.flags != 0 || !get(rseq.area + kFlagsAt, flags) || flags != 0 || !name_no_section(rseq.area)) {
    return false;
  }
  registers.rip = section.abort;
  return true;
}

}  // namespace

bool leave_critical_section(const Rseq& rseq, UserRegisters& registers) {
  u64 at = 0;
  return get(rseq.area + kSectionAt, at) && (at == 0 || leave_section(rseq, registers, at));
}

i64 sys_rseq(const SyscallArgs& args) {
  const Rseq named{args.a0, static_cast<u32>(args.a1), static_cast<u32>(args.a3)};
  const auto flags = static_cast<u32>(args.a2);
  Rseq& rseq = current().rseq;
  if (flags == kFlagUnregister) {
    return unregister(rseq, named);
  }
  if (flags != 0) {
    return -kEINVAL;
  }
  if (rseq.area != 0) {
    return named.area != rseq.area || named.bytes != rseq.bytes ? -kEINVAL
           : named.signature != rseq.signature                  ? -kEPERM
                                                                : -kEBUSY;
  }
  if (!well_formed(named)) {
    return -kEINVAL;
  }
  u64 section = 0;
  if (named.area > kUserRange.end.value() || named.bytes > kUserRange.end.value() - named.area ||
      !get(named.area + kSectionAt, section) || (section != 0 && !name_no_section(named.area))) {
    return -kEFAULT;
  }
  rseq = named;
  // Linux writes on the way back to the program, too late to answer.
  if (!describe_processor(named.area, 0)) {
    force_signal(kSIGSEGV, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
  }
  return 0;
}

}  // namespace nopte::guest
