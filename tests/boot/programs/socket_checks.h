// What the boot tests of sockets share.
#pragma once

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "tests/boot/programs/file_checks.h"

struct Address {
  sockaddr_un name{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};
inline Address path_address(const char* path) {
  Address address;
  address.name.sun_family = AF_UNIX;
  strcpy(address.name.sun_path, path);
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path) + 1);
  return address;
}
inline Address abstract_address(const char* text) {
  Address address;
  address.name.sun_family = AF_UNIX;
  strcpy(address.name.sun_path + 1, text);
  address.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(text));
  return address;
}
inline int events_of(int descriptor) {
  pollfd entry = {descriptor, POLLIN | POLLOUT | POLLRDHUP, 0};
  CHECK(poll(&entry, 1, 0) >= 0);
  return entry.revents;
}
inline int new_socket(int type) {
  const int made = socket(AF_UNIX, type, 0);
  CHECK(made >= 0);
  return made;
}

// One byte with descriptors (SCM_RIGHTS).
inline ssize_t send_descriptors(int through, const int* descriptors, size_t count) {
  char byte = 'd';
  iovec part = {&byte, 1};
  std::vector<char> room(CMSG_SPACE(count * sizeof(int)));
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = room.data();
  header.msg_controllen = room.size();
  cmsghdr* const control = CMSG_FIRSTHDR(&header);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(control), descriptors, count * sizeof(int));
  return sendmsg(through, &header, 0);
}
