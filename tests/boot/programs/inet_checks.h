// What the boot tests of AF_INET and AF_INET6 share.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include <cstdint>

#include "tests/boot/programs/socket_checks.h"

// One of either family.
struct InetAddress {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof storage;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] uint16_t port() const {
    return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in*>(&storage)->sin_port
                                              : reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  [[nodiscard]] std::string text() const {
    char out[INET6_ADDRSTRLEN] = "?";
    if (storage.ss_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, out, sizeof out);
    } else if (storage.ss_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr, out, sizeof out);
    }
    return out;
  }
};

inline InetAddress inet_address(const char* text, uint16_t port) {
  InetAddress address;
  if (strchr(text, ':') == nullptr) {
    auto* const four = reinterpret_cast<sockaddr_in*>(&address.storage);
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    CHECK(inet_pton(AF_INET, text, &four->sin_addr) == 1);
    address.bytes = sizeof *four;
  } else {
    auto* const six = reinterpret_cast<sockaddr_in6*>(&address.storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    CHECK(inet_pton(AF_INET6, text, &six->sin6_addr) == 1);
    address.bytes = sizeof *six;
  }
  return address;
}
inline InetAddress own_address(int made) {
  InetAddress address;
  CHECK(getsockname(made, address.get(), &address.bytes) == 0);
  return address;
}
inline InetAddress peer_address(int made) {
  InetAddress address;
  CHECK(getpeername(made, address.get(), &address.bytes) == 0);
  return address;
}
inline int bound_socket(int type, const char* text, uint16_t port = 0) {
  const InetAddress address = inet_address(text, port);
  const int made = socket(address.storage.ss_family, type, 0);
  CHECK(made >= 0 && bind(made, address.get(), address.bytes) == 0);
  return made;
}
inline int listening_socket(const char* text, int backlog = 5) {
  const int made = bound_socket(SOCK_STREAM, text);
  CHECK(listen(made, backlog) == 0);
  return made;
}
inline int connected_socket(const InetAddress& to, int type = SOCK_STREAM) {
  const int made = socket(to.storage.ss_family, type, 0);
  CHECK(made >= 0 && connect(made, to.get(), to.bytes) == 0);
  return made;
}
// A connection: [0] is who connected.
struct Connection {
  int ends[2];
  int operator[](int i) const { return ends[i]; }
  void close_both() const { CHECK(close(ends[0]) == 0 && close(ends[1]) == 0); }
};
inline Connection make_connection(const char* text = "127.0.0.1") {
  const int listener = listening_socket(text);
  const int client = connected_socket(own_address(listener));
  const int accepted = accept(listener, nullptr, nullptr);
  CHECK(accepted >= 0 && close(listener) == 0);
  return {{client, accepted}};
}
inline int option_of(int made, int level, int option) {
  int value = -1;
  socklen_t bytes = sizeof value;
  CHECK(getsockopt(made, level, option, &value, &bytes) == 0 && bytes == sizeof value);
  return value;
}
inline int set_option(int made, int level, int option, int value) {
  return setsockopt(made, level, option, &value, sizeof value);
}
inline std::string event_names(int made) {
  struct {
    int bit;
    const char* name;
  } const names[] = {
      {POLLIN, " IN"}, {POLLOUT, " OUT"}, {POLLRDHUP, " RDHUP"}, {POLLHUP, " HUP"}, {POLLERR, " ERR"}};
  const int events = events_of(made);
  std::string text;
  for (const auto& one : names) {
    text += (events & one.bit) != 0 ? one.name : "";
  }
  return text.empty() ? " none" : text;
}
