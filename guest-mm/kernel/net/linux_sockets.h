// Numbers and structures of Linux's x86-64 interface for sockets (uapi/linux/socket.h, asm-generic/socket.h,
// include/linux/socket.h, uapi/linux/un.h, uapi/linux/in.h, uapi/linux/in6.h).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::net {

inline constexpr u16 kFamilyUnspecified = 0;
inline constexpr u16 kFamilyUnix = 1;
inline constexpr u16 kFamilyInet = 2;
inline constexpr u16 kFamilyInet6 = 10;
inline constexpr u16 kFamilyNetlink = 16;
inline constexpr i32 kFamilies = 46;  // AF_MAX

enum class Type : u8 { kStream = 1, kDatagram = 2, kRaw = 3, kSequential = 5 };
inline constexpr u32 kTypeMask = 0xf;
inline constexpr u32 kTypes = 11;  // SOCK_MAX

inline constexpr u32 kMessageOutOfBand = 0x1;
inline constexpr u32 kMessagePeek = 0x2;
inline constexpr u32 kMessageControlTruncated = 0x8;
inline constexpr u32 kMessageTruncated = 0x20;
inline constexpr u32 kMessageDontWait = 0x40;
inline constexpr u32 kMessageEndOfRecord = 0x80;
inline constexpr u32 kMessageWaitAll = 0x100;
inline constexpr u32 kMessageErrorQueue = 0x2000;
inline constexpr u32 kMessageNoSignal = 0x4000;
inline constexpr u32 kMessageMore = 0x8000;
inline constexpr u32 kMessageWaitForOne = 0x10000;
inline constexpr u32 kMessageCloseOnExec = 0x40000000;

inline constexpr i32 kLevelSocket = 1;  // SOL_SOCKET
inline constexpr i32 kPassRights = 1;   // SCM_RIGHTS
inline constexpr i32 kPassCredentials = 2;
inline constexpr u32 kMostPassedFiles = 253;  // SCM_MAX_FD

inline constexpr u32 kPollReadHangUp = 0x2000;

// struct ucred
struct Credentials {
  i32 pid = 0;
  u32 uid = 0;
  u32 gid = 0;
  bool operator==(const Credentials&) const = default;
};
// What goes with a message whose sender nobody asked for: no process, the overflow ids.
inline constexpr Credentials kNobody{0, 65534, 65534};

// struct msghdr
struct MessageHeader {
  u64 name;
  u32 name_bytes;
  u32 pad;
  u64 vectors;
  u64 vector_count;
  u64 control;
  u64 control_bytes;
  u32 flags;
  u32 pad2;
};
static_assert(sizeof(MessageHeader) == 56);

// struct mmsghdr
struct ManyHeader {
  MessageHeader message;
  u32 bytes;
  u32 pad;
};
static_assert(sizeof(ManyHeader) == 64);

// struct cmsghdr
struct ControlHeader {
  u64 bytes;  // with this header
  i32 level;
  i32 type;
};
constexpr u64 control_space(u64 bytes) { return (bytes + 7) & ~u64{7}; }

// struct sockaddr_storage; a sockaddr_un's path, a sockaddr_in's rest.
inline constexpr u64 kFamilyBytes = 2;
inline constexpr u64 kPathBytes = 108;
struct SocketAddress {
  u16 family = kFamilyUnspecified;
  char text[126] = {};
};
static_assert(sizeof(SocketAddress) == 128);

}  // namespace nopte::guest::net
