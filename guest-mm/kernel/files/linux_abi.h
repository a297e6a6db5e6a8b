// Numbers and structures of Linux's x86-64 interface for files (uapi/asm-generic/fcntl.h, stat.h,
// uapi/linux/stat.h, poll.h, uapi/asm-generic/termbits.h).
#pragma once

#include "guest-mm/kernel/time/timespec.h"
#include "pvops/base/types.h"

namespace nopte::guest::files {

// open flags (octal, as Linux writes them)
inline constexpr u32 kOpenAccessMask = 03;
inline constexpr u32 kOpenReadOnly = 00;
inline constexpr u32 kOpenWriteOnly = 01;
inline constexpr u32 kOpenReadWrite = 02;
inline constexpr u32 kOpenCreate = 0100;
inline constexpr u32 kOpenExclusive = 0200;
inline constexpr u32 kOpenNoTty = 0400;
inline constexpr u32 kOpenTruncate = 01000;
inline constexpr u32 kOpenAppend = 02000;
inline constexpr u32 kOpenNonBlock = 04000;
inline constexpr u32 kOpenAsync = 020000;
inline constexpr u32 kOpenDirect = 040000;
inline constexpr u32 kOpenLargeFile = 0100000;
inline constexpr u32 kOpenDirectory = 0200000;
inline constexpr u32 kOpenNoFollow = 0400000;
inline constexpr u32 kOpenNoAccessTime = 01000000;
inline constexpr u32 kOpenCloseOnExec = 02000000;
inline constexpr u32 kOpenPath = 010000000;
inline constexpr u32 kOpenTmpFile = 020000000;

// file types in st_mode
inline constexpr u32 kModeTypeMask = 0170000;
inline constexpr u32 kModeSocket = 0140000;
inline constexpr u32 kModeSymlink = 0120000;
inline constexpr u32 kModeRegular = 0100000;
inline constexpr u32 kModeBlock = 0060000;
inline constexpr u32 kModeDirectory = 0040000;
inline constexpr u32 kModeCharacter = 0020000;
inline constexpr u32 kModeFifo = 0010000;
inline constexpr u32 kModePermMask = 07777;

// directory entry type (getdents64) of a mode
constexpr u8 dirent_type(u32 mode) { return static_cast<u8>((mode & kModeTypeMask) >> 12); }

inline constexpr i32 kAtCwd = -100;
inline constexpr u32 kAtSymlinkNoFollow = 0x100;
inline constexpr u32 kAtEffectiveAccess = 0x200;  // faccessat2
inline constexpr u32 kAtRemoveDir = 0x200;
inline constexpr u32 kAtSymlinkFollow = 0x400;
inline constexpr u32 kAtNoAutomount = 0x800;
inline constexpr u32 kAtEmptyPath = 0x1000;
inline constexpr u32 kAtSyncTypes = 0x6000;  // statx

inline constexpr u64 kPathBytes = 4096;  // with the terminator
inline constexpr u64 kNameBytes = 255;
inline constexpr u32 kSymlinkLimit = 40;

enum class Whence : u32 { kSet = 0, kCurrent = 1, kEnd = 2 };

// poll events
inline constexpr u32 kPollIn = 0x1;
inline constexpr u32 kPollPriority = 0x2;
inline constexpr u32 kPollOut = 0x4;
inline constexpr u32 kPollError = 0x8;
inline constexpr u32 kPollHangUp = 0x10;
inline constexpr u32 kPollInvalid = 0x20;
inline constexpr u32 kPollReadNormal = 0x40;
inline constexpr u32 kPollWriteNormal = 0x100;

struct Stat {
  u64 dev = 0;
  u64 ino = 0;
  u64 nlink = 0;
  u32 mode = 0;
  u32 uid = 0;
  u32 gid = 0;
  u32 pad = 0;
  u64 rdev = 0;
  i64 bytes = 0;
  i64 block_bytes = 4096;
  i64 blocks_512 = 0;
  Timespec accessed;
  Timespec modified;
  Timespec changed;
  u64 reserved[3] = {};
};
static_assert(sizeof(Stat) == 144);

// Device numbers as stat shows them (new_encode_dev).
constexpr u64 device_number(u32 major, u32 minor) {
  return u64{major} << 8 | (minor & 0xff) | u64{minor & ~u32{0xff}} << 12;
}
constexpr u32 device_major(u64 device) { return static_cast<u32>(device >> 8) & 0xfff; }
constexpr u32 device_minor(u64 device) { return static_cast<u32>(device & 0xff) | (device >> 12 & 0xfff00); }

}  // namespace nopte::guest::files
