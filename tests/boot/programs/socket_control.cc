// Control messages of sockets: descriptors and credentials that travel.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/boot/programs/file_checks.h"

namespace {

union Control {
  char bytes[CMSG_SPACE(2 * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  cmsghdr align;
};

ssize_t send_descriptors(int through, const char* text, const int* descriptors, size_t count) {
  iovec part = {const_cast<char*>(text), strlen(text)};
  Control control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const first = CMSG_FIRSTHDR(&header);
  first->cmsg_level = SOL_SOCKET;
  first->cmsg_type = SCM_RIGHTS;
  first->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(first), descriptors, count * sizeof(int));
  return sendmsg(through, &header, 0);
}

void control_messages() {
  check("descriptors travel", [] {
    int ends[2];
    int pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && pipe(pipes) == 0);
    CHECK(write(ends[0], "plain", 5) == 5 && send_descriptors(ends[0], "with", pipes, 2) == 4);
    CHECK(write(ends[0], "after", 5) == 5 && close(pipes[0]) == 0);
    const int bad = 77;
    CHECK_ERRNO(send_descriptors(ends[0], "x", &bad, 1), EBADF);
    char buffer[32];
    iovec part = {buffer, sizeof buffer};
    Control control;
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    CHECK(recvmsg(ends[1], &header, MSG_CMSG_CLOEXEC) == 9 && memcmp(buffer, "plainwith", 9) == 0);
    const cmsghdr* const first = CMSG_FIRSTHDR(&header);
    CHECK(first != nullptr && first->cmsg_type == SCM_RIGHTS && first->cmsg_len == CMSG_LEN(2 * sizeof(int)));
    int got[2];
    memcpy(got, CMSG_DATA(first), sizeof got);
    CHECK(fcntl(got[0], F_GETFD) == FD_CLOEXEC);
    CHECK(write(pipes[1], "!", 1) == 1 && read(got[0], buffer, 1) == 1);
    CHECK(read(ends[1], buffer, 32) == 5);
    // Nobody takes these: they close.
    CHECK(send_descriptors(ends[0], "x", &got[0], 1) == 1 && read(ends[1], buffer, 32) == 1);
    CHECK(send_descriptors(ends[0], "x", &got[0], 1) == 1);
    header.msg_controllen = 0;
    CHECK(recvmsg(ends[1], &header, 0) == 1 && (header.msg_flags & MSG_CTRUNC) != 0);
    CHECK(close(got[0]) == 0 && send_descriptors(ends[0], "x", &got[1], 1) == 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(pipes[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    CHECK(close(pipes[1]) == 0 && close(got[1]) == 0);
  });
  check("a chain of sockets on their way", [] {
    int inner[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner) == 0);
    int pipes[2];
    CHECK(pipe(pipes) == 0 && send_descriptors(inner[0], "x", pipes, 1) == 1);
    for (int i = 0; i < 100; ++i) {
      int outer[2];
      CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, outer) == 0 && send_descriptors(outer[0], "x", inner, 2) == 1);
      CHECK(close(inner[0]) == 0 && close(inner[1]) == 0);
      inner[0] = outer[0];
      inner[1] = outer[1];
    }
    CHECK(close(pipes[0]) == 0 && close(inner[0]) == 0 && close(inner[1]) == 0);
    signal(SIGPIPE, SIG_IGN);
    while (write(pipes[1], "x", 1) == 1) {
      sched_yield();
    }
    CHECK(errno == EPIPE && close(pipes[1]) == 0);
    signal(SIGPIPE, SIG_DFL);
  });
  check("credentials travel", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    const int on = 1;
    CHECK(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    CHECK(write(ends[0], "who", 3) == 3);
    char buffer[8];
    iovec part = {buffer, sizeof buffer};
    Control control;
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    CHECK(recvmsg(ends[1], &header, 0) == 3);
    const cmsghdr* const first = CMSG_FIRSTHDR(&header);
    CHECK(first != nullptr && first->cmsg_type == SCM_CREDENTIALS &&
          first->cmsg_len == CMSG_LEN(sizeof(ucred)));
    ucred who;
    memcpy(&who, CMSG_DATA(first), sizeof who);
    CHECK(who.pid == getpid() && who.uid == 0 && who.gid == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

// Sends a byte with credentials of its own making.
ssize_t send_as(int socket, const ucred& who) {
  char byte = 'x', room[CMSG_SPACE(sizeof who)] = {};
  iovec part = {&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* const control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_CREDENTIALS;
  control->cmsg_len = CMSG_LEN(sizeof who);
  memcpy(CMSG_DATA(control), &who, sizeof who);
  return sendmsg(socket, &message, 0);
}

void other_users() {
  check("nobody but root goes by another's name", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const int status = status_of_child([&] {
      CHECK(syscall(SYS_setresuid, 1000, 1001, 1002) == 0);
      CHECK(send_as(ends[0], {getpid(), 1000, 0}) == 1 && send_as(ends[0], {getpid(), 1002, 0}) == 1);
      CHECK_ERRNO(send_as(ends[0], {getpid(), 0, 0}), EPERM);
      CHECK_ERRNO(send_as(ends[0], {getpid(), 1000, 5}), EPERM);
      CHECK_ERRNO(send_as(ends[0], {getppid(), 1000, 0}), EPERM);
      int pair[2];
      CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
      ucred peer{};
      socklen_t bytes = sizeof peer;
      CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0);
      CHECK(peer.pid == getpid() && peer.uid == 1001 && peer.gid == 0);
    });
    CHECK(status == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  control_messages();
  other_users();
  return finish();
}
