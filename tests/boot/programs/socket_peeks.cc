// SO_PEEK_OFF of AF_UNIX: where those begin that only look. Prints the same on Linux.
#include <sys/socket.h>
#include <sys/un.h>

#include <initializer_list>
#include <string>

#include "tests/boot/programs/checks.h"

namespace {

struct Pair {
  int ends[2];
  explicit Pair(int type) { CHECK(socketpair(AF_UNIX, type, 0, ends) == 0); }
  ~Pair() { CHECK(close(ends[0]) == 0 && close(ends[1]) == 0); }
  void put(const char* text) const {
    const auto bytes = static_cast<ssize_t>(strlen(text));
    CHECK(send(ends[0], text, strlen(text), 0) == bytes);
  }
};

void set_offset(int made, int offset) {
  CHECK(setsockopt(made, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0);
}
int offset_of(int made) {
  int offset = -77;
  socklen_t bytes = sizeof offset;
  CHECK(getsockopt(made, SOL_SOCKET, SO_PEEK_OFF, &offset, &bytes) == 0 && bytes == sizeof offset);
  return offset;
}
// What one recv gives, or its errno, and the offset then.
void print_next(int made, int flags, size_t room = 16) {
  char buffer[16] = {};
  const ssize_t got = recv(made, buffer, room, flags | MSG_DONTWAIT);
  const size_t bytes = got < 0 ? 0 : static_cast<size_t>(got) < room ? static_cast<size_t>(got) : room;
  printf("  recv %x: %zd %s, then %d\n", flags, got,
         got < 0 ? strerrorname_np(errno) : std::string(buffer, bytes).c_str(), offset_of(made));
}

void streams() {
  const Pair made(SOCK_STREAM);
  const int to = made.ends[1];
  printf("  at first %d\n", offset_of(to));
  made.put("abcd");
  made.put("efgh");
  print_next(to, MSG_PEEK);
  set_offset(to, 0);
  print_next(to, MSG_PEEK, 3);
  print_next(to, MSG_PEEK, 3);
  print_next(to, MSG_PEEK, 3);
  print_next(to, MSG_PEEK, 3);
  made.put("ij");
  print_next(to, MSG_PEEK);
  print_next(to, 0, 5);
  print_next(to, 0, 4);
  set_offset(to, 1);
  print_next(to, MSG_PEEK);
  print_next(to, 0);
  set_offset(to, 2);
  made.put("kl");
  print_next(to, MSG_PEEK);
  made.put("mn");
  print_next(to, MSG_PEEK | MSG_WAITALL, 2);
  set_offset(to, -5);
  print_next(to, MSG_PEEK);
}

void records(int type) {
  const Pair made(type);
  const int to = made.ends[1];
  made.put("abcd");
  made.put("efgh");
  set_offset(to, 0);
  print_next(to, MSG_PEEK, 3);
  print_next(to, MSG_PEEK, 3);
  print_next(to, MSG_PEEK);
  print_next(to, MSG_PEEK);
  set_offset(to, 1);
  print_next(to, MSG_PEEK | MSG_TRUNC, 2);
  print_next(to, 0, 2);
  set_offset(to, 4);
  print_next(to, MSG_PEEK);
  set_offset(to, 6);
  print_next(to, 0);
  set_offset(to, -1);
  print_next(to, MSG_PEEK);
}

void accepted() {
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  memcpy(address.sun_path, "\0nopte-peeks", 12);
  const socklen_t bytes = sizeof(sa_family_t) + 12;
  CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes) == 0 && listen(listener, 1) == 0);
  set_offset(listener, 3);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(connect(client, reinterpret_cast<sockaddr*>(&address), bytes) == 0);
  const int made = accept(listener, nullptr, nullptr);
  printf("  of a connection: %d\n", offset_of(made));
  CHECK(close(made) == 0 && close(client) == 0 && close(listener) == 0);
}

}  // namespace

int main() {
  check("streams", streams);
  check("datagrams", [] { records(SOCK_DGRAM); });
  check("sequential packets", [] { records(SOCK_SEQPACKET); });
  check("accepted", accepted);
  return finish();
}
