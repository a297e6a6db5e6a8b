// Sockets that hold each other by descriptors on their way: what nobody can receive any more is closed.
// Prints the same on Linux.
#include "tests/boot/programs/socket_checks.h"

namespace {

// Once the writing ends are closed. Linux looks for what is lost when a socket closes, and may do it later.
void await_end_of(int reading_end) {
  const int pair[1] = {new_socket(SOCK_DGRAM)};
  CHECK(close(pair[0]) == 0);
  char byte;
  CHECK(read(reading_end, &byte, 1) == 0 && close(reading_end) == 0);
}

void cycles() {
  check("a pair that holds itself", [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      int ends[2];
      int pipes[2];
      CHECK(socketpair(AF_UNIX, type, 0, ends) == 0 && pipe(pipes) == 0);
      const int sent[3] = {ends[0], ends[1], pipes[1]};
      CHECK(send_descriptors(ends[0], sent, 3) == 1 && send_descriptors(ends[1], sent, 3) == 1);
      CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(pipes[1]) == 0);
      await_end_of(pipes[0]);
    }
  });
  check("a ring of ten", [] {
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    int ring[10][2];
    for (auto& pair : ring) {
      CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    }
    for (int i = 0; i < 10; ++i) {
      const int sent[3] = {ring[(i + 1) % 10][0], ring[(i + 1) % 10][1], pipes[1]};
      CHECK(send_descriptors(ring[i][0], sent, 3) == 1);
    }
    for (auto& pair : ring) {
      CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
    }
    CHECK(close(pipes[1]) == 0);
    await_end_of(pipes[0]);
  });
  check("a connection that nobody accepted", [] {
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    const Address address = abstract_address("nopte-cycle");
    const int listener = new_socket(SOCK_STREAM);
    const int client = new_socket(SOCK_STREAM);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 1) == 0);
    CHECK(connect(client, address.get(), address.bytes) == 0);
    const int sent[2] = {listener, pipes[1]};
    CHECK(send_descriptors(client, sent, 2) == 1);
    CHECK(close(client) == 0 && close(listener) == 0 && close(pipes[1]) == 0);
    await_end_of(pipes[0]);
    const int again = new_socket(SOCK_STREAM);
    CHECK(bind(again, address.get(), address.bytes) == 0 && close(again) == 0);
  });
  check("what can be reached stays", [] {
    int outer[2];
    int inner[2];
    int pipes[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, outer) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, inner) == 0);
    CHECK(pipe(pipes) == 0);
    const int sent[3] = {inner[0], inner[1], pipes[1]};
    CHECK(send_descriptors(inner[0], sent, 3) == 1 && send_descriptors(outer[0], inner, 2) == 1);
    CHECK(close(inner[0]) == 0 && close(inner[1]) == 0 && close(pipes[1]) == 0);
    CHECK(close(new_socket(SOCK_DGRAM)) == 0);
    int got[3];
    for (const int count : {2, 3}) {
      char byte;
      iovec part = {&byte, 1};
      char room[CMSG_SPACE(sizeof got)];
      msghdr header{};
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = room;
      header.msg_controllen = sizeof room;
      CHECK(recvmsg(count == 2 ? outer[1] : got[1], &header, 0) == 1);
      const cmsghdr* const control = CMSG_FIRSTHDR(&header);
      CHECK(control != nullptr && control->cmsg_len == CMSG_LEN(static_cast<size_t>(count) * sizeof(int)));
      memcpy(got, CMSG_DATA(control), static_cast<size_t>(count) * sizeof(int));
    }
    CHECK(write(got[2], "alive", 5) == 5);
    CHECK(close_range(static_cast<unsigned>(std::min({got[0], got[1], got[2]})), ~0u, 0) == 0);
    char buffer[8];
    CHECK(read(pipes[0], buffer, 8) == 5);
    // The first pair and its copies went with close_range; the pipe's last end, too.
    CHECK(close(outer[0]) == 0 && close(outer[1]) == 0);
    await_end_of(pipes[0]);
  });
  check("a process that ends and leaves one", [] {
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    const int status = status_of_child([&] {
      int ends[2];
      CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
      const int sent[3] = {ends[0], ends[1], pipes[1]};
      CHECK(send_descriptors(ends[0], sent, 3) == 1 && send_descriptors(ends[1], sent, 3) == 1);
    });
    CHECK(status == 0 && close(pipes[1]) == 0);
    await_end_of(pipes[0]);
  });
}

void limits() {
  check("more than the limit at once", [] {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    const int status = status_of_child([&] {
      CHECK(setuid(1000) == 0);
      const rlimit limit = {50, 50};
      CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
      const int sent[10] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
      int done = 0;
      while (send_descriptors(ends[0], sent, 10) == 1) {
        ++done;
      }
      // What is sent is compared with what was sent before.
      CHECK(errno == ETOOMANYREFS && done == 6);
      char byte;
      CHECK(read(ends[1], &byte, 1) == 1 && send_descriptors(ends[0], sent, 10) == 1);
      CHECK_ERRNO(send_descriptors(ends[0], sent, 10), ETOOMANYREFS);
    });
    CHECK(status == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("six times the limit, one after the other", [] {
    const int status = status_of_child([] {
      CHECK(setuid(1001) == 0);
      const rlimit limit = {100, 100};
      CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
      for (int i = 0; i < 300; ++i) {
        int ends[2];
        CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
        int done;
        // Linux looks when a socket closes, and may be late.
        while ((done = static_cast<int>(send_descriptors(ends[0], ends, 2))) < 0) {
          CHECK(errno == ETOOMANYREFS && close(new_socket(SOCK_DGRAM)) == 0 && sched_yield() == 0);
        }
        CHECK(done == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
      }
    });
    CHECK(status == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  cycles();
  limits();
  return finish();
}
