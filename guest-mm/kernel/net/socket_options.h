// Numbers of options at SOL_SOCKET (uapi/asm-generic/socket.h).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest::net {

enum SocketOption : u32 {
  kDebug = 1,
  kReuseAddress = 2,
  kType = 3,
  kError = 4,
  kDontRoute = 5,
  kBroadcast = 6,
  kSendBuffer = 7,
  kReceiveBuffer = 8,
  kKeepAlive = 9,
  kOutOfBandInline = 10,
  kNoCheck = 11,
  kPriority = 12,
  kLinger = 13,
  kReusePort = 15,
  kTellCredentials = 16,
  kPeerCredentials = 17,
  kReceiveLeast = 18,
  kSendLeast = 19,
  kReceiveTimeout = 20,
  kSendTimeout = 21,
  kBindToDevice = 25,
  kTimestamp = 29,
  kAcceptConnections = 30,
  kSendBufferForce = 32,
  kReceiveBufferForce = 33,
  kTellSecurity = 34,
  kTimestampNs = 35,
  kMark = 36,
  kProtocol = 38,
  kDomain = 39,
  kTellOverflow = 40,
  kPeekOffset = 42,
  kCookie = 57,
  kReceiveTimeoutNew = 66,
  kSendTimeoutNew = 67,
};

}  // namespace nopte::guest::net
