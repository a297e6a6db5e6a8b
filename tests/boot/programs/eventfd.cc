// eventfd: counting, semaphores, what blocks, what poll says, what is refused.
#include <sys/eventfd.h>

#include <cstdint>

#include "tests/boot/programs/poll_checks.h"

namespace {

constexpr uint64_t kMost = UINT64_MAX - 1;

void add(int descriptor, uint64_t value) { CHECK(write(descriptor, &value, 8) == 8); }
uint64_t take(int descriptor) {
  uint64_t value = 0;
  CHECK(read(descriptor, &value, 8) == 8);
  return value;
}

void counting() {
  const int event = eventfd(7, EFD_NONBLOCK);
  CHECK(event >= 0 && take(event) == 7);
  uint64_t value = 1;
  CHECK_ERRNO(read(event, &value, 8), EAGAIN);
  add(event, 2);
  add(event, 0);
  add(event, 40);
  char large[64];
  CHECK(read(event, large, sizeof(large)) == 8 && memcmp(large, "\x2a\0\0\0\0\0\0\0", 8) == 0);
  CHECK(syscall(SYS_eventfd, 5) >= 0 && close(event) == 0);
}

void semaphores() {
  const int event = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
  CHECK(take(event) == 1 && take(event) == 1);
  uint64_t value = 0;
  CHECK_ERRNO(read(event, &value, 8), EAGAIN);
  CHECK(close(event) == 0);
}

void overflow() {
  const int event = eventfd(0, EFD_NONBLOCK);
  uint64_t value = UINT64_MAX;
  CHECK_ERRNO(write(event, &value, 8), EINVAL);
  CHECK(events_of(event) == POLLOUT);
  add(event, kMost - 1);
  CHECK(events_of(event) == (POLLIN | POLLOUT));
  value = 2;
  CHECK_ERRNO(write(event, &value, 8), EAGAIN);
  add(event, 1);
  CHECK(events_of(event) == POLLIN);
  add(event, 0);
  value = 1;
  CHECK_ERRNO(write(event, &value, 8), EAGAIN);
  CHECK(take(event) == kMost && events_of(event) == POLLOUT && close(event) == 0);
}

void refusals() {
  for (const int flags : {2, 4, O_APPEND, -1}) {
    CHECK_ERRNO(eventfd(0, flags), EINVAL);
  }
  const int event = eventfd(1, 0);
  uint64_t value = 1;
  CHECK_ERRNO(read(event, &value, 7), EINVAL);
  CHECK_ERRNO(write(event, &value, 7), EINVAL);
  const uint64_t two[2] = {1, 1};
  CHECK_ERRNO(write(event, two, 16), EINVAL);
  CHECK_ERRNO(write(event, bad_page(), 8), EFAULT);
  CHECK_ERRNO(ftruncate(event, 0), EINVAL);
  CHECK_ERRNO(read(event, read_only_page(), 8), EFAULT);
  CHECK(events_of(event) == POLLOUT);
  check_anonymous(event, "eventfd");
  CHECK(close(event) == 0);
}

void flags() {
  int event = eventfd(0, 0);
  CHECK(fcntl(event, F_GETFD) == 0 && fcntl(event, F_GETFL) == O_RDWR);
  CHECK(fcntl(event, F_SETFL, O_NONBLOCK) == 0);
  uint64_t value = 0;
  CHECK_ERRNO(read(event, &value, 8), EAGAIN);
  CHECK(close(event) == 0);
  event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  CHECK(fcntl(event, F_GETFD) == FD_CLOEXEC && fcntl(event, F_GETFL) == (O_RDWR | O_NONBLOCK));
  CHECK(close(event) == 0);
}

void readers_wait() {
  const int event = eventfd(0, 0);
  while_asleep([&] { CHECK(take(event) == 6); }, [&](pid_t) { add(event, 6); });
  while_asleep(
      [&] {
        pollfd entry = {event, POLLIN, 0};
        CHECK(poll(&entry, 1, -1) == 1 && entry.revents == POLLIN && take(event) == 9);
      },
      [&](pid_t) { add(event, 9); });
  CHECK(close(event) == 0);
}

void writers_wait() {
  const int event = eventfd(0, 0);
  add(event, kMost);
  while_asleep([&] { add(event, 4); }, [&](pid_t) { CHECK(take(event) == kMost); });
  CHECK(take(event) == 4);
  add(event, kMost);
  while_asleep(
      [&] {
        pollfd entry = {event, POLLOUT, 0};
        CHECK(poll(&entry, 1, -1) == 1 && entry.revents == POLLOUT);
      },
      [&](pid_t) { CHECK(take(event) == kMost); });
  CHECK(close(event) == 0);
}

void signals_end_it() {
  const int event = eventfd(0, 0);
  handle(SIGUSR1);
  uint64_t value = 0;
  while_asleep([&] { CHECK_ERRNO(read(event, &value, 8), EINTR); }, [](pid_t to) { kill(to, SIGUSR1); });
  add(event, kMost);
  value = 1;
  while_asleep([&] { CHECK_ERRNO(write(event, &value, 8), EINTR); }, [](pid_t to) { kill(to, SIGUSR1); });
  CHECK(g_handled == 2 && close(event) == 0);
}

}  // namespace

int main() {
  begin();
  check("counting", counting);
  check("semaphores", semaphores);
  check("overflow", overflow);
  check("refusals", refusals);
  check("flags", flags);
  check("readers_wait", readers_wait);
  check("writers_wait", writers_wait);
  check("signals_end_it", signals_end_it);
  return finish();
}
