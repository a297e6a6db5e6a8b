// getsockopt and setsockopt at SOL_SOCKET.
#include <algorithm>
#include <cstring>

#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest::net {

namespace {

// uapi/asm-generic/socket.h
enum Option : u32 {
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
  kTimestamp = 29,
  kAcceptConnections = 30,
  kSendBufferForce = 32,
  kReceiveBufferForce = 33,
  kProtocol = 38,
  kDomain = 39,
};

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

}  // namespace

i64 Socket::set_option(u32 option, u64 address, i32 bytes) {
  i32 value = 0;
  if (bytes < static_cast<i32>(sizeof value)) {
    return -kEINVAL;
  }
  if (const i64 error = files::get_user(value, address); error != 0) {
    return error;
  }
  if (is_bit(option)) {
    bits_ = (bits_ & ~(1u << option)) | (value != 0 ? 1u << option : 0);
    return 0;
  }
  switch (option) {
    case kTellCredentials:
      pass_credentials = value != 0;
      return 0;
    case kSendBuffer:
    case kSendBufferForce:
      send_buffer_ = buffer_bytes(value, option == kSendBufferForce, 4608);
      return 0;
    case kReceiveBuffer:
    case kReceiveBufferForce:
      receive_buffer_ = buffer_bytes(value, option == kReceiveBufferForce, 2304);
      return 0;
    case kPriority:
      priority_ = static_cast<u32>(value);
      return 0;
    case kReceiveLeast:
      least_bytes_ = value < 0 ? 0x7fff'ffff : std::max<u32>(static_cast<u32>(value), 1);
      return 0;
    case kLinger:
      return bytes < static_cast<i32>(sizeof linger_) ? -kEINVAL : files::get_user(linger_, address);
    case kReceiveTimeout:
      return set_timeout(address, bytes, receive_timeout_us_);
    case kSendTimeout:
      return set_timeout(address, bytes, send_timeout_us_);
    default:
      return -kENOPROTOOPT;
  }
}

i64 Socket::get_option(u32 option, u64 address, u64 bytes_address) {
  i32 room = 0;
  if (const i64 error = files::get_user(room, bytes_address); error != 0) {
    return error;
  }
  if (room < 0) {
    return -kEINVAL;
  }
  char answer[16];
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
    put_number(bits_ >> option & 1);
  } else {
    switch (option) {
      case kType:
        put_number(static_cast<u64>(type));
        break;
      case kError:
        put_number(static_cast<u64>(std::exchange(error_, 0)));
        break;
      case kSendBuffer:
        put_number(send_buffer_);
        break;
      case kReceiveBuffer:
        put_number(receive_buffer_);
        break;
      case kPriority:
        put_number(priority_);
        break;
      case kLinger:
        bytes = sizeof linger_;
        std::memcpy(answer, linger_, bytes);
        break;
      case kTellCredentials:
        put_number(pass_credentials ? 1 : 0);
        break;
      case kPeerCredentials:
        bytes = sizeof peer_credentials_;
        std::memcpy(answer, &peer_credentials_, bytes);
        break;
      case kReceiveLeast:
        put_number(least_bytes_);
        break;
      case kSendLeast:
        put_number(1);
        break;
      case kReceiveTimeout:
        time(receive_timeout_us_);
        break;
      case kSendTimeout:
        time(send_timeout_us_);
        break;
      case kAcceptConnections:
        put_number(state_ == State::kListening ? 1 : 0);
        break;
      case kProtocol:
        put_number(0);
        break;
      case kDomain:
        put_number(kFamilyUnix);
        break;
      default:
        return -kENOPROTOOPT;
    }
  }
  bytes = std::min<u64>(bytes, static_cast<u64>(room));
  if (!arch::copy_to_user(Gva(address), answer, bytes)) {
    return -kEFAULT;
  }
  return files::put_user(bytes_address, static_cast<i32>(bytes));
}

}  // namespace nopte::guest::net
