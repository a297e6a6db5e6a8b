// How many connections a listener of TCP takes, and those that wait for a place. Prints the same on Linux,
// where who found none asks again after a second.
#include "tests/boot/programs/inet_checks.h"

namespace {

int try_to_connect(const InetAddress& to) {
  const int made = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK(made >= 0);
  CHECK_ERRNO(connect(made, to.get(), to.bytes), EINPROGRESS);
  return made;
}
void await(int made, short event) {
  pollfd entry = {made, event, 0};
  CHECK(poll(&entry, 1, 30'000) == 1);
}

void print_taken() {
  for (const int backlog : {0, 1, 3, 20}) {
    const int listener = listening_socket("127.0.0.1", backlog);
    const InetAddress at = own_address(listener);
    int made[30];
    int taken = 0;
    for (int& one : made) {
      one = try_to_connect(at);
      taken += (events_of(one) & POLLOUT) != 0 ? 1 : 0;
    }
    printf("backlog %d: %d taken\n", backlog, taken);
    for (const int one : made) {
      CHECK(close(one) == 0);
    }
    CHECK(close(listener) == 0);
  }
}

void print_waiting() {
  const int listener = listening_socket("127.0.0.1", 0);
  const InetAddress at = own_address(listener);
  const int first = connected_socket(at);
  const int second = try_to_connect(at);
  printf("waits:%s, error %d\n", event_names(second).c_str(), option_of(second, SOL_SOCKET, SO_ERROR));
  char buffer[8];
  CHECK_ERRNO(connect(second, at.get(), at.bytes), EALREADY);
  CHECK_ERRNO(send(second, "x", 1, 0), EAGAIN);
  CHECK_ERRNO(recv(second, buffer, 8, 0), EAGAIN);
  CHECK_ERRNO(listen(second, 1), EINVAL);
  const InetAddress any = inet_address("127.0.0.1", 0);
  CHECK_ERRNO(bind(second, any.get(), any.bytes), EINVAL);
  InetAddress none;
  CHECK_ERRNO(getpeername(second, none.get(), &none.bytes), ENOTCONN);
  CHECK(own_address(second).port() != 0 && own_address(second).text() == "127.0.0.1");
  const int one = accept(listener, nullptr, nullptr);
  await(second, POLLOUT);
  CHECK(connect(second, at.get(), at.bytes) == 0);
  CHECK_ERRNO(connect(second, at.get(), at.bytes), EISCONN);
  CHECK(write(second, "late", 4) == 4);
  const int two = accept(listener, nullptr, nullptr);
  CHECK(two >= 0 && read(two, buffer, 8) == 4 && peer_address(two).port() == own_address(second).port());
  for (const int made : {first, second, one, two, listener}) {
    CHECK(close(made) == 0);
  }
}

void print_sleepers() {
  const int listener = listening_socket("127.0.0.1", 0);
  const InetAddress at = own_address(listener);
  const int first = connected_socket(at);
  // A time limit.
  const int limited = socket(AF_INET, SOCK_STREAM, 0);
  const timeval soon = {0, 20'000};
  CHECK(setsockopt(limited, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon) == 0);
  CHECK_ERRNO(connect(limited, at.get(), at.bytes), EINPROGRESS);
  CHECK_ERRNO(connect(limited, at.get(), at.bytes), EALREADY);
  CHECK(close(limited) == 0);
  // One that sleeps until there is room.
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int made = socket(AF_INET, SOCK_STREAM, 0);
    const bool connected = connect(made, at.get(), at.bytes) == 0;
    _exit(connected && write(made, "slept", 5) == 5 ? 0 : 1);
  }
  await_state(child, 'S');
  const int one = accept(listener, nullptr, nullptr);
  const int two = accept(listener, nullptr, nullptr);
  char buffer[8];
  CHECK(one >= 0 && two >= 0 && read(two, buffer, 8) == 5);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  for (const int made : {first, one, two, listener}) {
    CHECK(close(made) == 0);
  }
}

// Who waits has its four numbers, too.
void print_numbers() {
  const int listener = listening_socket("127.0.0.1", 0);
  const InetAddress at = own_address(listener);
  const int first = connected_socket(at);
  int made[2];
  InetAddress from = inet_address("127.0.0.1", 0);
  for (int& one : made) {
    one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(one >= 0 && set_option(one, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
    CHECK(bind(one, from.get(), from.bytes) == 0);
    from = own_address(one);
  }
  CHECK_ERRNO(connect(made[0], at.get(), at.bytes), EINPROGRESS);
  CHECK_ERRNO(connect(made[1], at.get(), at.bytes), EADDRNOTAVAIL);
  for (const int one : {first, made[0], made[1], listener}) {
    CHECK(close(one) == 0);
  }
}

void print_ends() {
  for (const bool by_shutdown : {false, true}) {
    const int listener = listening_socket("127.0.0.1", 0);
    const InetAddress at = own_address(listener);
    const int first = connected_socket(at);
    const int second = try_to_connect(at), third = try_to_connect(at), fourth = try_to_connect(at);
    CHECK(close(fourth) == 0);
    CHECK(shutdown(third, SHUT_WR) == 0);
    CHECK_ERRNO(shutdown(third, SHUT_WR), ENOTCONN);
    CHECK(by_shutdown ? shutdown(listener, SHUT_RD) == 0 : close(listener) == 0);
    await(second, POLLERR);
    printf("the listener is gone:%s\n", event_names(second).c_str());
    CHECK_ERRNO(connect(second, at.get(), at.bytes), ECONNREFUSED);
    CHECK(!by_shutdown || close(listener) == 0);
    for (const int made : {first, second, third}) {
      CHECK(close(made) == 0);
    }
  }
}

}  // namespace

int main() {
  check("taken", print_taken);
  check("waiting", print_waiting);
  check("sleeping", print_sleepers);
  check("numbers", print_numbers);
  check("ends", print_ends);
  return finish();
}
