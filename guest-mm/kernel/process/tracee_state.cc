#include "guest-mm/kernel/process/tracee_state.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

// What a debugger may set: arithmetic flags, trap, direction, resume, alignment check, nested task.
constexpr u64 kFlags = 0xcd5 | kFlagTrap | 1 << 14 | 1 << 16 | 1 << 18;

// The order of user_regs_struct.
constexpr std::array<u64 UserRegisters::*, 21> kSaved = {
    &UserRegisters::r15, &UserRegisters::r14, &UserRegisters::r13,    &UserRegisters::r12,
    &UserRegisters::rbp, &UserRegisters::rbx, &UserRegisters::r11,    &UserRegisters::r10,
    &UserRegisters::r9,  &UserRegisters::r8,  &UserRegisters::rax,    &UserRegisters::rcx,
    &UserRegisters::rdx, &UserRegisters::rsi, &UserRegisters::rdi,    &UserRegisters::orig_rax,
    &UserRegisters::rip, &UserRegisters::cs,  &UserRegisters::rflags, &UserRegisters::rsp,
    &UserRegisters::ss};
constexpr u64 kCs = 17, kFlagsAt = 18, kSs = 20, kFsBase = 21, kGsBase = 22;

bool is_base(u64 value) { return value < kUserRange.end.value(); }

// --- debug registers: kept and told; nothing is watched (u_debugreg of struct user)
// -------------------------

constexpr u64 kDebugAt = 848, kDebugEnd = 912, kDebugStatus = 6, kDebugControl = 7, kDebugAddresses = 4;
constexpr u64 kDebugStatusFixed = 0xffff'0ff0;

i64 poke_debug(Tracee& tracee, u64 number, u64 value) {
  if (number < kDebugAddresses) {
    if (!is_base(value)) return -kEINVAL;
  } else if (number != kDebugStatus && number != kDebugControl) {
    return -kEIO;
  }
  tracee.debug[number] = number == kDebugStatus ? value ^ kDebugStatusFixed : value;
  return 0;
}

// --- FPU
// ----------------------------------------------------------------------------------------------------

constexpr u64 kMxcsrAt = 24, kFeaturesAt = 512, kCompactAt = 520, kHeaderEnd = 576;
constexpr u32 kMxcsrKnown = 0xffff;

template <class T>
T read_at(const u8* bytes, u64 at) {
  T value;
  std::memcpy(&value, bytes + at, sizeof(value));
  return value;
}

template <class T>
void write_at(u8* bytes, u64 at, T value) {
  std::memcpy(bytes + at, &value, sizeof(value));
}

// The image as a program gets it: what is in software's bytes says which state there is.
void make_image(const Tracee& tracee, u8* image) {
  std::memcpy(image, tracee.thread()->fpu.bytes, kFpuFrameBytes);
  std::memset(image + kFpuSoftwareOffset, 0, kUserFpuBytes - kFpuSoftwareOffset);
}

i64 get_fpu(const Tracee& tracee, u32 type, u64 address, u64 bytes) {
  u8 image[kFpuFrameBytes];
  make_image(tracee, image);
  if (type == kNoteXstate) write_at(image, kFpuSoftwareOffset, kFpuFeatures);
  return arch::copy_to_user(Gva{address}, static_cast<const void*>(image), bytes) ? 0 : -kEFAULT;
}

i64 set_fpu(Tracee& tracee, u32 type, u64 address, u64 bytes) {
  u8 image[kFpuFrameBytes];
  make_image(tracee, image);
  if (!arch::copy_from_user(image, Gva{address}, bytes)) return -kEFAULT;
  if ((read_at<u32>(image, kMxcsrAt) & ~kMxcsrKnown) != 0) return -kEINVAL;
  constexpr u64 kX87Sse = 3;
  if (type == kNoteFpu) {
    write_at(image, kFeaturesAt, read_at<u64>(image, kFeaturesAt) | kX87Sse);
  } else {
    if ((read_at<u64>(image, kFeaturesAt) & ~kFpuFeatures) != 0) return -kEINVAL;
    const bool clear = std::all_of(image + kCompactAt, image + kHeaderEnd, [](u8 byte) { return byte == 0; });
    if (!clear) return -kEINVAL;
  }
  std::memcpy(tracee.thread()->fpu.bytes, image, kFpuFrameBytes);
  return 0;
}

struct RegisterSet {
  u64 element;
  u64 bytes;
};
// element 0: none.
RegisterSet set_of(u32 type) {
  switch (type) {
    case kNoteStatus:
      return {sizeof(u64), kUserRegisterBytes};
    case kNoteFpu:
      return {sizeof(u64), kUserFpuBytes};
    case kNoteXstate:
      return {sizeof(u64), kFpuFrameBytes};
    case kNotePorts:
      return {sizeof(u64), 0x2000};
    default:
      return {};
  }
}

// How much of what there is was asked for.
i64 fit(u32 type, u64& bytes) {
  const RegisterSet set = set_of(type);
  if (set.element == 0 || bytes % set.element != 0) return -kEINVAL;
  bytes = std::min(bytes, set.bytes);
  return 0;
}

}  // namespace

u64 user_register(const Tracee& tracee, u64 index) {
  const Thread& thread = *tracee.thread();
  if (index < kSaved.size()) {
    const u64 value = thread.registers->*kSaved[index];
    return index == kFlagsAt && tracee.trap_forced ? value & ~kFlagTrap : value;
  }
  return index == kFsBase ? thread.fs_base : index == kGsBase ? thread.context.gs_base : 0;
}

i64 set_user_register(Tracee& tracee, u64 index, u64 value) {
  Thread& thread = *tracee.thread();
  UserRegisters& registers = *thread.registers;
  switch (index) {
    case kCs:
    case kSs:
      // Other segments than the program's are not there.
      return (value & 0xffff) == (registers.*kSaved[index] & 0xffff) ? 0 : -kEIO;
    case kFlagsAt:
      registers.rflags = (registers.rflags & ~kFlags) | (value & kFlags);
      return 0;
    case kFsBase:
      if (!is_base(value)) return -kEIO;
      thread.fs_base = value;
      return 0;
    case kGsBase:
      if (!is_base(value) || (value != 0 && !arch::set_gs_base(arch::gs_base()))) return -kEIO;
      thread.context.gs_base = value;
      return 0;
    default:
      break;
  }
  if (index < kSaved.size()) {
    registers.*kSaved[index] = value;
    return 0;
  }
  constexpr u64 kRights = 3;  // of a program
  return value == 0 || ((value & kRights) == kRights && value <= 0xffff) ? 0 : -kEIO;
}

i64 peek_user(const Tracee& tracee, u64 offset, u64& value) {
  if (offset % sizeof(u64) != 0 || offset >= kUserAreaBytes) return -kEIO;
  value = 0;
  if (offset < kUserRegisterBytes) {
    value = user_register(tracee, offset / sizeof(u64));
  } else if (offset >= kDebugAt && offset < kDebugEnd) {
    const u64 number = (offset - kDebugAt) / sizeof(u64);
    value = number == kDebugStatus ? tracee.debug[number] ^ kDebugStatusFixed : tracee.debug[number];
  }
  return 0;
}

i64 poke_user(Tracee& tracee, u64 offset, u64 value) {
  if (offset % sizeof(u64) != 0 || offset >= kUserAreaBytes) return -kEIO;
  if (offset < kUserRegisterBytes) return set_user_register(tracee, offset / sizeof(u64), value);
  return offset >= kDebugAt && offset < kDebugEnd
             ? poke_debug(tracee, (offset - kDebugAt) / sizeof(u64), value)
             : -kEIO;
}

i64 get_register_set(const Tracee& tracee, u32 type, u64 address, u64& bytes) {
  if (const i64 error = fit(type, bytes); error != 0) return error;
  if (type == kNotePorts) return -kENXIO;
  if (type != kNoteStatus) return get_fpu(tracee, type, address, bytes);
  u64 words[kUserRegisterWords];
  for (u64 i = 0; i < kUserRegisterWords; ++i) words[i] = user_register(tracee, i);
  return arch::copy_to_user(Gva{address}, static_cast<const void*>(words), bytes) ? 0 : -kEFAULT;
}

i64 set_register_set(Tracee& tracee, u32 type, u64 address, u64& bytes) {
  if (const i64 error = fit(type, bytes); error != 0) return error;
  if (type == kNotePorts) return -kEOPNOTSUPP;
  if (type == kNoteXstate && bytes != kFpuFrameBytes) return -kEFAULT;
  if (type == kNoteFpu && bytes != kUserFpuBytes) return -kEINVAL;
  if (type != kNoteStatus) return set_fpu(tracee, type, address, bytes);
  for (u64 at = 0; at < bytes; at += sizeof(u64)) {
    u64 value = 0;
    if (!arch::copy_from_user(&value, Gva{address + at}, sizeof(value))) return -kEFAULT;
    if (const i64 error = set_user_register(tracee, at / sizeof(u64), value); error != 0) return error;
  }
  return 0;
}

}  // namespace nopte::guest
