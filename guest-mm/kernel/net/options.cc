// getsockopt and setsockopt at SOL_SOCKET (net/core/sock.c of Linux 6.12).
#include <algorithm>
#include <cstring>
#include <string_view>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/socket.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

// Those that are one bit, kept and told.
bool is_bit(u32 option) {
  switch (option) {
    case kDebug:
    case kReuseAddress:
    case kDontRoute:
    case kBroadcast:
    case kKeepAlive:
    case kOutOfBandInline:
    case kNoCheck:
    case kReusePort:
    case kTimestamp:
    case kTellSecurity:
    case kTimestampNs:
    case kTellOverflow:
      return true;
    default:
      return false;
  }
}

constexpr u64 kMostBuffer = 212992;  // net.core.wmem_max, rmem_max

u64 buffer_bytes(i32 asked, bool force, u64 least) {
  const u64 wanted = static_cast<u64>(std::max(asked, 0));
  return std::max(least, 2 * (force ? std::min<u64>(wanted, 1 << 29) : std::min(wanted, kMostBuffer)));
}

struct TimeValue {
  i64 seconds;
  i64 microseconds;
};

// As sock_set_timeout(): 0 for no limit.
i64 set_timeout(u64 address, i32 bytes, u64& timeout_us) {
  TimeValue value{};
  if (bytes < static_cast<i32>(sizeof value)) {
    return -kEINVAL;
  }
  if (const i64 error = files::get_user(value, address); error != 0) {
    return error;
  }
  if (value.microseconds < 0 || value.microseconds >= 1'000'000) {
    return -kEDOM;
  }
  constexpr i64 kMostSeconds = 1'000'000'000;
  timeout_us = value.seconds < 0 ? 1
               : value.seconds > kMostSeconds
                   ? 0
                   : static_cast<u64>(value.seconds) * 1'000'000 + static_cast<u64>(value.microseconds);
  return 0;
}

// The one device that there is.
i64 bind_to_device(u64 address, i32 bytes) {
  constexpr u64 kDeviceBytes = 16;  // IFNAMSIZ
  char name[kDeviceBytes] = {};
  if (bytes < 0) {
    return -kEINVAL;
  }
  if (!arch::copy_from_user(name, Gva(address), std::min<u64>(static_cast<u64>(bytes), kDeviceBytes - 1))) {
    return -kEFAULT;
  }
  return name[0] == 0 || std::string_view(name) == "lo" ? 0 : -kENODEV;
}

}  // namespace

i64 store_option(u64 address, u64 bytes_address, const void* value, u64 bytes) {
  i32 room = 0;
  if (const i64 error = files::get_user(room, bytes_address); error != 0) {
    return error;
  }
  if (room < 0) {
    return -kEINVAL;
  }
  bytes = std::min<u64>(bytes, static_cast<u64>(room));
  if (!arch::copy_to_user(Gva(address), value, bytes)) {
    return -kEFAULT;
  }
  return files::put_user(bytes_address, static_cast<i32>(bytes));
}

i64 Socket::set_option(i32 level, u32 option, u64 address, i32 bytes) {
  return level == kLevelSocket ? set_socket_option(option, address, bytes) : -kEOPNOTSUPP;
}

i64 Socket::set_socket_option(u32 option, u64 address, i32 bytes) {
  if (option == kBindToDevice) {
    return bind_to_device(address, bytes);
  }
  i32 value = 0;
  if (bytes < static_cast<i32>(sizeof value)) {
    return -kEINVAL;
  }
  if (const i64 error = files::get_user(value, address); error != 0) {
    return error;
  }
  const bool admin = capable(Capability::kNetAdmin);
  if (is_bit(option)) {
    if (option == kDebug && value != 0 && !admin) {
      return -kEACCES;
    }
    // One kind of times at most.
    const bool time = option == kTimestamp || option == kTimestampNs;
    const u64 others = time ? u64{1} << kTimestamp | u64{1} << kTimestampNs : u64{1} << option;
    options.bits = (options.bits & ~others) | (value != 0 ? u64{1} << option : 0);
    return 0;
  }
  switch (option) {
    case kTellCredentials:
      options.pass_credentials = value != 0;
      return 0;
    case kSendBufferForce:
    case kReceiveBufferForce:
      if (!admin) {
        return -kEPERM;
      }
      [[fallthrough]];
    case kSendBuffer:
    case kReceiveBuffer:
      if (option == kSendBuffer || option == kSendBufferForce) {
        options.send_buffer = buffer_bytes(value, option == kSendBufferForce, 4608);
      } else {
        options.receive_buffer = buffer_bytes(value, option == kReceiveBufferForce, 2304);
      }
      return 0;
    case kPriority:
    case kMark:
      if ((option == kMark || value < 0 || value > 6) && !admin && !capable(Capability::kNetRaw)) {
        return -kEPERM;
      }
      (option == kMark ? options.mark : options.priority) = static_cast<u32>(value);
      return 0;
    case kReceiveLeast:
      options.least_bytes = value < 0 ? 0x7fff'ffff : std::max<u32>(static_cast<u32>(value), 1);
      return 0;
    case kLinger: {
      i32 linger[2];
      if (bytes < static_cast<i32>(sizeof linger)) {
        return -kEINVAL;
      }
      if (const i64 error = files::get_user(linger, address); error != 0) {
        return error;
      }
      options.linger[0] = linger[0] != 0 ? 1 : 0;
      options.linger[1] = linger[0] != 0 ? linger[1] : options.linger[1];
      return 0;
    }
    case kPeekOffset:
      if (family != kFamilyUnix) {
        return -kENOPROTOOPT;
      }
      options.peek_offset = value;
      return 0;
    case kReceiveTimeout:
    case kReceiveTimeoutNew:
      return set_timeout(address, bytes, options.receive_timeout_us);
    case kSendTimeout:
    case kSendTimeoutNew:
      return set_timeout(address, bytes, options.send_timeout_us);
    default:
      return -kENOPROTOOPT;
  }
}

i64 Socket::get_option(i32 level, u32 option, u64 address, u64 bytes_address) {
  if (level != kLevelSocket) {
    return -kEOPNOTSUPP;
  }
  char answer[16] = {};
  u64 bytes = 4;
  const auto put_number = [&](u64 value) {
    const auto low = static_cast<u32>(value);
    std::memcpy(answer, &low, sizeof low);
  };
  const auto time = [&](u64 timeout_us) {
    const u64 value[2] = {timeout_us / 1'000'000, timeout_us % 1'000'000};
    bytes = sizeof value;
    std::memcpy(answer, value, bytes);
  };
  if (is_bit(option)) {
    put_number(options.bit(option) ? 1 : 0);
    return store_option(address, bytes_address, answer, bytes);
  }
  switch (option) {
    case kType:
      put_number(static_cast<u64>(type));
      break;
    case kError:
      put_number(static_cast<u64>(std::exchange(error_, 0)));
      break;
    case kSendBuffer:
      put_number(options.send_buffer);
      break;
    case kReceiveBuffer:
      put_number(options.receive_buffer);
      break;
    case kPriority:
      put_number(options.priority);
      break;
    case kMark:
      put_number(options.mark);
      break;
    case kLinger:
      bytes = sizeof options.linger;
      std::memcpy(answer, options.linger, bytes);
      break;
    case kTellCredentials:
      put_number(options.pass_credentials ? 1 : 0);
      break;
    case kPeerCredentials:
      bytes = sizeof peer_credentials_;
      std::memcpy(answer, &peer_credentials_, bytes);
      break;
    case kReceiveLeast:
      put_number(options.least_bytes);
      break;
    case kSendLeast:
      put_number(1);
      break;
    case kPeekOffset:
      if (family != kFamilyUnix) {
        return -kENOPROTOOPT;
      }
      put_number(static_cast<u64>(static_cast<i64>(options.peek_offset)));
      break;
    case kReceiveTimeout:
    case kReceiveTimeoutNew:
      time(options.receive_timeout_us);
      break;
    case kSendTimeout:
    case kSendTimeoutNew:
      time(options.send_timeout_us);
      break;
    case kAcceptConnections:
      put_number(state_ == State::kListening ? 1 : 0);
      break;
    case kProtocol:
      put_number(protocol);
      break;
    case kDomain:
      put_number(family);
      break;
    case kBindToDevice:
      bytes = 0;
      break;
    case kCookie:
      bytes = sizeof number;
      std::memcpy(answer, &number, bytes);
      break;
    default:
      return -kENOPROTOOPT;
  }
  return store_option(address, bytes_address, answer, bytes);
}

}  // namespace nopte::guest::net
