// What PVH hands over at entry: command line, memory map, modules. Every address is checked against the
// memory that is seen before it is read.
// Source: Xen's public/arch-x86/hvm/start_info.h (layout only).
#pragma once

#include <array>
#include <cstring>
#include <string_view>

#include "pvops/base/result.h"

namespace nopte {

struct PhysicalSpan {
  u64 begin = 0;  // physical
  u64 bytes = 0;
};

struct PvhInfo {
  static constexpr u32 kMagic = 0x336e'c578;
  static constexpr u64 kMaxRam = 16;

  std::string_view command_line;  // lies where the boot loader put it
  std::array<PhysicalSpan, kMaxRam> ram{};
  u32 ram_spans = 0;
  PhysicalSpan module{};  // the first one; bytes == 0 when there is none
};

// The bytes of physical memory [0, limit_bytes) that are seen from `base` on.
struct PhysicalMemory {
  const u8* base = nullptr;
  u64 limit_bytes = 0;

  [[nodiscard]] bool contains(u64 physical, u64 bytes) const {
    return physical <= limit_bytes && bytes <= limit_bytes - physical;
  }
  template <class T>
  [[nodiscard]] Result<T> read(u64 physical) const {
    if (!contains(physical, sizeof(T))) {
      return Fail(Status::kInvalid);
    }
    T value;
    __builtin_memcpy(&value, base + physical, sizeof(T));  // inlined: a freestanding memcpy is a call
    return value;
  }
};

// Errors: kInvalid (bad magic, something outside the memory, no memory map), kLimit (a command line of 64 KiB
// or more). Spans past kMaxRam are left out. The module's own bytes need not lie in it.
inline Result<PvhInfo> read_pvh_info(const PhysicalMemory& memory, u64 start_info) {
  struct StartInfo {
    u32 magic, version, flags, modules;
    u64 module_list, command_line, rsdp, memory_map;
    u32 memory_map_entries, reserved;
  };
  struct Module {
    u64 begin, bytes, command_line, reserved;
  };
  struct MemoryMapEntry {
    u64 begin, bytes;
    u32 type, reserved;
  };
  constexpr u32 kRam = 1;
  constexpr u64 kMaxCommandLineBytes = 65'536;
  constexpr u32 kMaxMapEntries = 1024;

  const auto start = memory.read<StartInfo>(start_info);
  if (!start || start->magic != PvhInfo::kMagic || start->version < 1) {
    return Fail(Status::kInvalid);
  }
  PvhInfo info;
  if (start->command_line != 0) {
    u64 bytes = 0;
    for (;; ++bytes) {
      if (bytes == kMaxCommandLineBytes) {
        return Fail(Status::kLimit);
      }
      if (start->command_line > memory.limit_bytes || bytes >= memory.limit_bytes - start->command_line) {
        return Fail(Status::kInvalid);
      }
      if (memory.base[start->command_line + bytes] == 0) {
        break;
      }
    }
    info.command_line = {reinterpret_cast<const char*>(memory.base + start->command_line), bytes};
  }
  if (start->modules > 0) {
    const auto module = memory.read<Module>(start->module_list);
    if (!module) {
      return Fail(Status::kInvalid);
    }
    info.module = {module->begin, module->bytes};
  }
  if (start->memory_map_entries == 0 || start->memory_map_entries > kMaxMapEntries) {
    return Fail(Status::kInvalid);
  }
  for (u32 i = 0; i < start->memory_map_entries && info.ram_spans < PvhInfo::kMaxRam; ++i) {
    const auto entry = memory.read<MemoryMapEntry>(start->memory_map + i * sizeof(MemoryMapEntry));
    if (!entry) {
      return Fail(Status::kInvalid);
    }
    if (entry->type == kRam && entry->bytes != 0) {
      info.ram[info.ram_spans++] = {entry->begin, entry->bytes};
    }
  }
  return info;
}

}  // namespace nopte
