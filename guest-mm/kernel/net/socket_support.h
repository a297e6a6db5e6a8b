// What the calls on sockets share.
#pragma once

#include <algorithm>
#include <cstring>

#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/net/socket.h"

namespace nopte::guest::net {

// The descriptor's socket, kept; or -EBADF, -ENOTSOCK.
struct SocketOf {
  explicit SocketOf(u64 descriptor) : file(files::file_of(descriptor)) {
    if (!file || file->path_only()) {
      error = -kEBADF;
    } else {
      socket = file->inode() != nullptr ? file->inode()->as_socket() : nullptr;
      error = socket == nullptr ? -kENOTSOCK : 0;
    }
  }
  [[nodiscard]] u32 flags() const { return file->non_blocking() ? kMessageDontWait : 0; }

  Ref<files::File> file;
  Socket* socket = nullptr;
  i64 error = 0;
};

// An address argument. Errors: -EINVAL, -EFAULT.
inline i64 load_address(SocketAddress& to, u64 address, u64 bytes) {
  const auto length = static_cast<i32>(bytes);
  if (length < 0 || static_cast<u64>(length) > sizeof to) {
    return -kEINVAL;
  }
  to = SocketAddress{};
  const bool copied = length == 0 || arch::copy_from_user(&to, Gva(address), static_cast<u64>(length));
  return copied ? 0 : -kEFAULT;
}

// As move_addr_to_user(): as much of an address as there is room for at `address`, and its whole length at
// bytes_address, where the room stands. 0, -EFAULT, -EINVAL.
inline i64 store_address(const SocketAddress& from, u64 bytes, u64 address, u64 bytes_address) {
  i32 room = 0;
  if (const i64 error = files::get_user(room, bytes_address); error != 0) {
    return error;
  }
  if (room < 0) {
    return -kEINVAL;
  }
  if (!arch::copy_to_user(Gva(address), &from, std::min<u64>(bytes, static_cast<u64>(room)))) {
    return -kEFAULT;
  }
  return files::put_user(bytes_address, static_cast<i32>(bytes));
}

// Reads what a message carries besides its bytes (sendmsg), or writes it (recvmsg): control.cc.
i64 load_control(const Socket& socket, u64 address, u64 bytes, Sending& message);
void store_control(MessageHeader& header, u32 flags, bool credentials, Receiving& message);

// One control message, cut to the room that is left.
void store_message(MessageHeader& header, i32 level, i32 type, const void* data, u64 bytes, u32& flags);

}  // namespace nopte::guest::net
