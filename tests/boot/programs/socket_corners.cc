// Corners of AF_UNIX: credentials, flags, names without a name, errors. Prints the same on Linux.
#include "tests/boot/programs/socket_checks.h"

namespace {

struct Received {
  ssize_t bytes;
  int flags;
  bool has_credentials;
  ucred who;
};
Received receive(int from, size_t room, int flags = 0) {
  char buffer[64];
  iovec part = {buffer, room};
  char control[CMSG_SPACE(sizeof(ucred)) + 64];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  Received got{recvmsg(from, &header, flags), header.msg_flags, false, {}};
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); got.bytes >= 0 && one != nullptr;
       one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_type == SCM_CREDENTIALS) {
      got.has_credentials = true;
      memcpy(&got.who, CMSG_DATA(one), sizeof got.who);
    }
  }
  return got;
}
int set_passing(int made, int on) { return setsockopt(made, SOL_SOCKET, SO_PASSCRED, &on, sizeof on); }

void credentials() {
  check("who sent it, if somebody asked", [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      int ends[2];
      CHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
      CHECK(write(ends[0], "a", 1) == 1 && set_passing(ends[1], 1) == 0 && write(ends[0], "b", 1) == 1);
      Received got = receive(ends[1], 1);
      CHECK(got.has_credentials && got.who.pid == 0 && got.who.uid == 65534 && got.who.gid == 65534);
      got = receive(ends[1], 1);
      CHECK(got.has_credentials && got.who.pid == getpid() && got.who.uid == 0);
      CHECK(set_passing(ends[1], 0) == 0 && set_passing(ends[0], 1) == 0 && write(ends[0], "c", 1) == 1);
      CHECK(set_passing(ends[1], 1) == 0);
      got = receive(ends[1], 1);
      CHECK(got.has_credentials && got.who.pid == getpid());
      CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
  });
  check("bytes of several senders", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && set_passing(ends[1], 1) == 0);
    CHECK(write(ends[0], "ab", 2) == 2 && write(ends[0], "c", 1) == 1);
    CHECK(status_of_child([&] { CHECK(write(ends[0], "de", 2) == 2); }) == 0);
    CHECK(receive(ends[1], 10).bytes == 3 && receive(ends[1], 10).bytes == 2);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("the peer's credentials", [] {
    const Address address = abstract_address("nopte-peer");
    const int listener = new_socket(SOCK_STREAM);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 5) == 0);
    ucred who{};
    socklen_t bytes = sizeof who;
    CHECK(getsockopt(listener, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0);
    printf("a listener: %d %d %d\n", who.pid == getpid(), static_cast<int>(who.uid),
           static_cast<int>(who.gid));
    const int client = new_socket(SOCK_STREAM);
    CHECK(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0);
    printf("nobody yet: %d %d %d\n", who.pid, static_cast<int>(who.uid), static_cast<int>(who.gid));
    CHECK(connect(client, address.get(), address.bytes) == 0);
    const int status = status_of_child([&] {
      CHECK(setgid(1001) == 0 && setuid(1000) == 0);
      const int other = new_socket(SOCK_STREAM);
      CHECK(connect(other, address.get(), address.bytes) == 0);
      ucred peer{};
      socklen_t size = sizeof peer;
      CHECK(getsockopt(other, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getppid() &&
            peer.uid == 0);
    });
    CHECK(status == 0);
    const int first = accept(listener, nullptr, nullptr);
    const int second = accept(listener, nullptr, nullptr);
    CHECK(getsockopt(first, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 && who.pid == getpid() &&
          who.uid == 0);
    CHECK(getsockopt(second, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 && who.uid == 1000 &&
          who.gid == 1001);
    bytes = 4;
    CHECK(getsockopt(second, SOL_SOCKET, SO_PEERCRED, &who, &bytes) == 0 && bytes == 4);
    for (const int made : {listener, client, first, second}) {
      CHECK(close(made) == 0);
    }
  });
}

void unnamed() {
  check("names that are chosen", [] {
    const int made = new_socket(SOCK_STREAM);
    sockaddr_un none{};
    none.sun_family = AF_UNIX;
    CHECK(bind(made, reinterpret_cast<sockaddr*>(&none), 2) == 0);
    CHECK(bind(made, reinterpret_cast<sockaddr*>(&none), 2) == 0);
    Address got;
    got.bytes = sizeof got.name;
    CHECK(getsockname(made, reinterpret_cast<sockaddr*>(&got.name), &got.bytes) == 0);
    CHECK(got.bytes == 8 && got.name.sun_path[0] == 0);
    CHECK(listen(made, 1) == 0);
    const int client = new_socket(SOCK_STREAM);
    CHECK(connect(client, got.get(), got.bytes) == 0 && close(client) == 0 && close(made) == 0);
    // Who shows its credentials has a name, too.
    const Address address = abstract_address("nopte-named");
    const int server = new_socket(SOCK_DGRAM);
    CHECK(bind(server, address.get(), address.bytes) == 0);
    const int sender = new_socket(SOCK_DGRAM);
    CHECK(set_passing(sender, 1) == 0 && sendto(sender, "x", 1, 0, address.get(), address.bytes) == 1);
    got.bytes = sizeof got.name;
    CHECK(getsockname(sender, reinterpret_cast<sockaddr*>(&got.name), &got.bytes) == 0 && got.bytes == 8);
    CHECK(close(server) == 0 && close(sender) == 0);
  });
  check("a name of all bytes, and one that is cut", [] {
    sockaddr_un full{};
    full.sun_family = AF_UNIX;
    memset(full.sun_path, 'p', sizeof full.sun_path);
    const int made = new_socket(SOCK_STREAM);
    CHECK(bind(made, reinterpret_cast<sockaddr*>(&full), sizeof full) == 0);
    char room[200] = {};
    socklen_t bytes = sizeof room;
    CHECK(getsockname(made, reinterpret_cast<sockaddr*>(room), &bytes) == 0 && bytes == 111 &&
          room[109] == 'p');
    bytes = 5;
    memset(room, '!', sizeof room);
    CHECK(getsockname(made, reinterpret_cast<sockaddr*>(room), &bytes) == 0 && bytes == 111 &&
          room[5] == '!');
    bytes = static_cast<socklen_t>(-1);
    CHECK_ERRNO(getsockname(made, reinterpret_cast<sockaddr*>(room), &bytes), EINVAL);
    bytes = 10;
    CHECK_ERRNO(getsockname(made, nullptr, &bytes), EFAULT);
    CHECK_ERRNO(getsockname(made, reinterpret_cast<sockaddr*>(room), nullptr), EFAULT);
    CHECK_ERRNO(getpeername(made, reinterpret_cast<sockaddr*>(room), &bytes), ENOTCONN);
    CHECK(close(made) == 0);
    // A longer name with zeros is another abstract name.
    const int first = new_socket(SOCK_DGRAM);
    const int second = new_socket(SOCK_DGRAM);
    sockaddr_un zeros{};
    zeros.sun_family = AF_UNIX;
    zeros.sun_path[1] = 'z';
    CHECK(bind(first, reinterpret_cast<sockaddr*>(&zeros), 4) == 0);
    CHECK_ERRNO(bind(second, reinterpret_cast<sockaddr*>(&zeros), 4), EADDRINUSE);
    CHECK(bind(second, reinterpret_cast<sockaddr*>(&zeros), 5) == 0 && close(first) == 0 &&
          close(second) == 0);
  });
}

void flags() {
  check("MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL", [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      int ends[2];
      CHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
      CHECK(write(ends[0], "0123456789", 10) == 10);
      for (const int flag : std::initializer_list<int>{MSG_PEEK, MSG_PEEK | MSG_TRUNC, MSG_PEEK | MSG_WAITALL,
                                                       MSG_PEEK | MSG_DONTWAIT}) {
        const Received got = receive(ends[1], 4, flag);
        printf("type %d flags %x: %zd, %x\n", type, static_cast<unsigned>(flag), got.bytes,
               static_cast<unsigned>(got.flags));
      }
      const Received got = receive(ends[1], 4);
      printf("type %d: %zd, %x\n", type, got.bytes, static_cast<unsigned>(got.flags));
      char buffer[16];
      const ssize_t rest = recv(ends[1], buffer, 16, MSG_DONTWAIT);
      printf("  and then: %zd\n", rest < 0 ? -static_cast<ssize_t>(errno) : rest);
      CHECK_ERRNO(recv(ends[1], buffer, 16, MSG_DONTWAIT), EAGAIN);
      CHECK_ERRNO(recv(ends[1], buffer, 16, MSG_DONTWAIT | MSG_PEEK), EAGAIN);
      CHECK(send(ends[0], "x", 1, MSG_MORE | MSG_ERRQUEUE | MSG_CONFIRM | MSG_DONTROUTE | MSG_EOR) == 1);
      CHECK(recv(ends[1], buffer, 16, MSG_ERRQUEUE) == 1 && recv(ends[1], buffer, 0, MSG_DONTWAIT) <= 0);
      CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    }
  });
  check("all that was asked for, in two parts", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      char buffer[8];
      _exit(recv(ends[1], buffer, 8, MSG_WAITALL) == 8 ? 0 : 1);
    }
    CHECK(write(ends[0], "1234", 4) == 4);
    await_state(child, 'S');
    CHECK(write(ends[0], "5678", 4) == 4);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    char buffer[8];
    CHECK(write(ends[0], "123", 3) == 3 && close(ends[0]) == 0);
    CHECK(recv(ends[1], buffer, 8, MSG_WAITALL) == 3 && close(ends[1]) == 0);
  });
  check("shutdown of each kind", [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      for (const int how : {SHUT_RD, SHUT_WR, SHUT_RDWR}) {
        int ends[2];
        char byte;
        CHECK(socketpair(AF_UNIX, type, 0, ends) == 0 && write(ends[1], "x", 1) == 1 &&
              shutdown(ends[0], how) == 0);
        printf("type %d, %d: events %x and %x", type, how, static_cast<unsigned>(events_of(ends[0])),
               static_cast<unsigned>(events_of(ends[1])));
        const auto say = [](const char* what, ssize_t answer) {
          printf(", %s %zd", what, answer < 0 ? -static_cast<ssize_t>(errno) : answer);
        };
        say("send", send(ends[0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
        say("its send", send(ends[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
        say("receive", recv(ends[0], &byte, 1, MSG_DONTWAIT));
        say("again", recv(ends[0], &byte, 1, MSG_DONTWAIT));
        say("its receive", recv(ends[1], &byte, 1, MSG_DONTWAIT));
        printf("\n");
        CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
      }
    }
    const int loose = new_socket(SOCK_STREAM);
    CHECK(shutdown(loose, SHUT_RDWR) == 0);
    CHECK_ERRNO(shutdown(loose, -1), EINVAL);
    CHECK(close(loose) == 0);
  });
  check("SIGPIPE for streams alone", [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      int ends[2];
      CHECK(socketpair(AF_UNIX, type, 0, ends) == 0 && close(ends[1]) == 0);
      const int status = status_of_child([&] {
        CHECK(write(ends[0], "x", 1) == -1);
        _exit(errno);
      });
      printf("type %d: %s %d\n", type, WIFSIGNALED(status) ? "signal" : "error",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      CHECK(close(ends[0]) == 0);
    }
  });
}

void errors() {
  check("not connected, or already", [] {
    char byte;
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      const int made = new_socket(type);
      const auto say = [&](const char* what, ssize_t answer) {
        printf("type %d, %s: %s\n", type, what, answer < 0 ? strerrorname_np(errno) : "done");
      };
      const Address nobody = abstract_address("nopte-nobody");
      say("send", send(made, "x", 1, MSG_NOSIGNAL));
      say("sendto", sendto(made, "x", 1, MSG_NOSIGNAL, nobody.get(), nobody.bytes));
      say("recv", recv(made, &byte, 1, MSG_DONTWAIT));
      say("MSG_OOB", send(made, "x", 1, MSG_OOB));
      say("accept", accept(made, nullptr, nullptr));
      say("listen", listen(made, 1));
      say("connect", connect(made, nobody.get(), nobody.bytes));
      CHECK(close(made) == 0);
    }
    const Address address = abstract_address("nopte-once");
    const int listener = new_socket(SOCK_SEQPACKET);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 5) == 0);
    CHECK_ERRNO(connect(listener, address.get(), address.bytes), EINVAL);
    CHECK_ERRNO(recv(listener, &byte, 1, 0), ENOTCONN);
    CHECK_ERRNO(send(listener, "x", 1, 0), ENOTCONN);
    const int client = new_socket(SOCK_SEQPACKET);
    CHECK(connect(client, address.get(), address.bytes) == 0);
    CHECK_ERRNO(connect(client, address.get(), address.bytes), EISCONN);
    CHECK_ERRNO(listen(client, 1), EINVAL);
    CHECK_ERRNO(accept(client, nullptr, nullptr), EINVAL);
    CHECK(sendto(client, "x", 1, 0, address.get(), address.bytes) == 1);
    const int wrong = new_socket(SOCK_STREAM);
    CHECK_ERRNO(connect(wrong, address.get(), address.bytes), ECONNREFUSED);
    CHECK(close(wrong) == 0 && close(client) == 0 && close(listener) == 0);
  });
  check("who hears one alone", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    const Address address = abstract_address("nopte-alone");
    CHECK(bind(ends[0], address.get(), address.bytes) == 0);
    const int other = new_socket(SOCK_DGRAM);
    CHECK_ERRNO(connect(other, address.get(), address.bytes), EPERM);
    CHECK_ERRNO(sendto(other, "x", 1, 0, address.get(), address.bytes), EPERM);
    sockaddr none{};
    none.sa_family = AF_UNSPEC;
    CHECK(connect(ends[0], &none, sizeof none) == 0);
    CHECK(connect(other, address.get(), address.bytes) == 0 && write(other, "x", 1) == 1);
    CHECK(close(other) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("control messages", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    char byte = 'x';
    iovec part = {&byte, 1};
    alignas(cmsghdr) char room[64] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = room;
    auto* const control = reinterpret_cast<cmsghdr*>(room);
    const auto attempt = [&](size_t room_bytes, size_t bytes, int level, int type) {
      header.msg_controllen = room_bytes;
      control->cmsg_len = bytes;
      control->cmsg_level = level;
      control->cmsg_type = type;
      return sendmsg(ends[0], &header, 0);
    };
    memset(room, 0, sizeof room);
    CHECK(attempt(20, 20, SOL_SOCKET, SCM_RIGHTS) == 1);
    CHECK(attempt(16, 16, SOL_SOCKET, SCM_RIGHTS) == 1);
    CHECK(attempt(8, 8, SOL_SOCKET, SCM_RIGHTS) == 1);  // too little to be looked at
    CHECK_ERRNO(attempt(20, 12, SOL_SOCKET, SCM_RIGHTS), EINVAL);
    CHECK_ERRNO(attempt(20, 40, SOL_SOCKET, SCM_RIGHTS), EINVAL);
    CHECK_ERRNO(attempt(20, 20, SOL_SOCKET, 77), EINVAL);
    CHECK_ERRNO(attempt(20, 20, SOL_SOCKET, SCM_CREDENTIALS), EINVAL);
    CHECK(attempt(20, 20, 41, 77) == 1);
    header.msg_control = reinterpret_cast<void*>(8);
    header.msg_controllen = 20;
    CHECK_ERRNO(sendmsg(ends[0], &header, 0), EFAULT);
    header.msg_controllen = 1 << 20;
    CHECK_ERRNO(sendmsg(ends[0], &header, 0), ENOBUFS);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  credentials();
  unnamed();
  flags();
  errors();
  return finish();
}
