// RLIMIT_MEMLOCK, which binds who has not CAP_IPC_LOCK. The same on Linux.
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/boot/programs/memory_checks.h"

namespace {

// As another user than root, with so many pages to lock.
template <class Body>
void with_limit(rlim_t pages, Body body) {
  CHECK(status_of_child([&] {
          const rlimit limit = {pages * kPage, pages * kPage};
          CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && setresuid(99, 99, 99) == 0);
          body();
        }) == 0);
}
char* mapped(size_t pages, int flags = 0) {
  void* const at =
      mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

void none_is_none() {
  with_limit(0, [] {
    char* const at = mapped(1);
    CHECK_ERRNO(mlock(at, 1), EPERM);
    CHECK_ERRNO(mlock2(at, 1, MLOCK_ONFAULT), EPERM);
    CHECK_ERRNO(mlock2(at, 1, 8), EINVAL);
    CHECK_ERRNO(mlockall(MCL_FUTURE), EPERM);
    CHECK_ERRNO(mlockall(8), EINVAL);
    CHECK(munlock(at, 1) == 0 && munlockall() == 0);
    CHECK(mapped(1, MAP_LOCKED) == nullptr && errno == EPERM);
  });
}

void some_is_so_many() {
  with_limit(8, [] {
    char* const at = mapped(16);
    CHECK(mlock(at, 6 * kPage) == 0);
    CHECK_ERRNO(mlock(at + 6 * kPage, 3 * kPage), ENOMEM);
    // What is locked counts once.
    CHECK(mlock(at, 8 * kPage) == 0);
    CHECK_ERRNO(mlock(at + 8 * kPage, 1), ENOMEM);
    CHECK(mapped(1, MAP_LOCKED) == nullptr && errno == EAGAIN);
    CHECK(munlock(at, 2 * kPage) == 0);
    char* const locked = mapped(1, MAP_LOCKED);
    CHECK(locked != nullptr);
    CHECK_ERRNO(mlockall(MCL_CURRENT), ENOMEM);
    CHECK(mremap(locked, kPage, 3 * kPage, MREMAP_MAYMOVE) == MAP_FAILED && errno == EAGAIN);
    CHECK(mremap(locked, kPage, 2 * kPage, MREMAP_MAYMOVE) != MAP_FAILED);
  });
}

void the_future_is_bound() {
  with_limit(8, [] {
    CHECK(mlockall(MCL_FUTURE) == 0);
    CHECK(mapped(9) == nullptr && errno == EAGAIN);
    char* const at = mapped(8);
    CHECK(at != nullptr && mapped(1) == nullptr && errno == EAGAIN);
    char* const end = static_cast<char*>(sbrk(0));
    CHECK_ERRNO(brk(end + 2 * kPage), ENOMEM);
    CHECK(munlockall() == 0 && brk(end + 2 * kPage) == 0);
  });
}

void root_is_not_bound() {
  CHECK(status_of_child([] {
          const rlimit limit = {0, 0};
          CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
          char* const at = mapped(4);
          CHECK(mlock(at, 4 * kPage) == 0 && mapped(2, MAP_LOCKED) != nullptr && mlockall(MCL_FUTURE) == 0);
        }) == 0);
}

}  // namespace

int main() {
  check("none is none", none_is_none);
  check("some is so many", some_is_so_many);
  check("the future is bound", the_future_is_bound);
  check("root is not bound", root_is_not_bound);
  return finish();
}
