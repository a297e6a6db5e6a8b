// io_setup, io_submit, io_getevents, io_cancel, io_destroy. Prints the same on Linux.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

long io_setup(unsigned events, aio_context_t* context) { return syscall(SYS_io_setup, events, context); }
long io_destroy(aio_context_t context) { return syscall(SYS_io_destroy, context); }
long io_submit(aio_context_t context, long count, iocb** requests) {
  return syscall(SYS_io_submit, context, count, requests);
}
long io_getevents(aio_context_t context, long least, long most, io_event* events, timespec* time = nullptr) {
  return syscall(SYS_io_getevents, context, least, most, events, time);
}
long io_cancel(aio_context_t context, iocb* request, io_event* event) {
  return syscall(SYS_io_cancel, context, request, event);
}

iocb request_for(int operation, int file, const void* buffer, size_t bytes, long offset = 0) {
  iocb made{};
  made.aio_data = 0x77;
  made.aio_lio_opcode = static_cast<uint16_t>(operation);
  made.aio_fildes = static_cast<uint32_t>(file);
  made.aio_buf = reinterpret_cast<uint64_t>(buffer);
  made.aio_nbytes = bytes;
  made.aio_offset = offset;
  return made;
}

aio_context_t make_context(unsigned events = 8) {
  aio_context_t made = 0;
  CHECK(io_setup(events, &made) == 0 && made != 0);
  return made;
}

// Submits one, and what came of it: -1000 - errno if it was refused.
long result_of(aio_context_t context, iocb request) {
  iocb* one = &request;
  if (io_submit(context, 1, &one) != 1) {
    return -1000 - errno;
  }
  io_event event{};
  CHECK(io_getevents(context, 1, 1, &event) == 1);
  CHECK(event.data == 0x77 && event.obj == reinterpret_cast<uint64_t>(&request) && event.res2 == 0);
  return event.res;
}

void transfers() {
  check("files", [] {
    const aio_context_t context = make_context();
    const int file = open("file", O_RDWR | O_CREAT, 0644);
    char buffer[16] = {};
    printf("  write %ld\n", result_of(context, request_for(IOCB_CMD_PWRITE, file, "0123456789", 10, 2)));
    printf("  read %ld\n", result_of(context, request_for(IOCB_CMD_PREAD, file, buffer, 16, 4)));
    printf("  %s\n", buffer);
    printf("  past the end %ld\n", result_of(context, request_for(IOCB_CMD_PREAD, file, buffer, 16, 100)));
    iovec parts[] = {{buffer, 2}, {buffer + 8, 3}};
    printf("  parts %ld\n", result_of(context, request_for(IOCB_CMD_PREADV, file, parts, 2, 2)));
    CHECK(memcmp(buffer, "01", 2) == 0 && memcmp(buffer + 8, "234", 3) == 0);
    printf("  parts %ld\n", result_of(context, request_for(IOCB_CMD_PWRITEV, file, parts, 2, 0)));
    printf("  bad memory %ld\n",
           result_of(context, request_for(IOCB_CMD_PREAD, file, reinterpret_cast<void*>(8), 4, 0)));
    CHECK(lseek(file, 0, SEEK_CUR) == 0 && close(file) == 0 && io_destroy(context) == 0);
  });
  check("pipes, and an eventfd that is told", [] {
    const aio_context_t context = make_context();
    int ends[2];
    CHECK(pipe(ends) == 0);
    const int counter = eventfd(0, EFD_NONBLOCK);
    char buffer[8] = {};
    iocb write_it = request_for(IOCB_CMD_PWRITE, ends[1], "pipe", 4, 0);
    write_it.aio_flags = IOCB_FLAG_RESFD;
    write_it.aio_resfd = static_cast<uint32_t>(counter);
    printf("  write %ld\n", result_of(context, write_it));
    printf("  read %ld %s\n", result_of(context, request_for(IOCB_CMD_PREAD, ends[0], buffer, 8, 0)), buffer);
    uint64_t count = 0;
    CHECK(read(counter, &count, 8) == 8 && count == 1);
    write_it.aio_resfd = static_cast<uint32_t>(ends[0]);
    printf("  no eventfd %ld\n", result_of(context, write_it));
    write_it.aio_resfd = 999;
    printf("  no file %ld\n", result_of(context, write_it));
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(counter) == 0 && io_destroy(context) == 0);
  });
  check("what is refused", [] {
    const aio_context_t context = make_context();
    const int reads = open("file", O_RDONLY);
    const int writes = open("file", O_WRONLY);
    const int folder = open(".", O_RDONLY);
    char byte = 'x';
    printf("  %ld %ld %ld\n", result_of(context, request_for(IOCB_CMD_PREAD, -1, &byte, 1)),
           result_of(context, request_for(IOCB_CMD_PREAD, writes, &byte, 1)),
           result_of(context, request_for(IOCB_CMD_PWRITE, reads, &byte, 1)));
    printf("  %ld %ld %ld\n", result_of(context, request_for(IOCB_CMD_NOOP, reads, &byte, 1)),
           result_of(context, request_for(99, reads, &byte, 1)),
           result_of(context, request_for(IOCB_CMD_PREAD, reads, &byte, size_t(-1))));
    printf("  %ld %ld\n", result_of(context, request_for(IOCB_CMD_PREAD, reads, &byte, 1, -1)),
           result_of(context, request_for(IOCB_CMD_POLL, reads, &byte, 1, 1)));
    iocb odd = request_for(IOCB_CMD_PREAD, reads, &byte, 1);
    odd.aio_reserved2 = 1;
    printf("  %ld\n", result_of(context, odd));
    iocb good = request_for(IOCB_CMD_PREAD, reads, &byte, 1), bad = request_for(99, reads, &byte, 1);
    iocb* some[] = {&good, &bad, &good};
    CHECK(io_submit(context, 3, some) == 1);
    some[0] = reinterpret_cast<iocb*>(8);
    CHECK_ERRNO(io_submit(context, 1, some), EFAULT);
    CHECK_ERRNO(io_submit(context, 1, reinterpret_cast<iocb**>(8)), EFAULT);
    CHECK_ERRNO(io_submit(context, -1, some), EINVAL);
    CHECK(io_submit(context, 0, some) == 0);
    CHECK_ERRNO(io_submit(0, 1, some), EINVAL);
    CHECK(close(reads) == 0 && close(writes) == 0 && close(folder) == 0 && io_destroy(context) == 0);
  });
}

// How many pages of contexts the process has.
int context_pages() {
  FILE* const maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  char line[512];
  int pages = 0;
  while (fgets(line, sizeof line, maps) != nullptr) {
    if (strstr(line, " /[aio] (deleted)\n") == nullptr) continue;
    CHECK(strstr(line, " rw-s ") != nullptr);
    ++pages;
  }
  CHECK(fclose(maps) == 0);
  return pages;
}

void contexts() {
  check("pages that have a name", [] {
    CHECK(context_pages() == 0);
    const aio_context_t first = make_context(), second = make_context();
    CHECK(context_pages() == 2 && io_destroy(first) == 0 && context_pages() == 1);
    CHECK(io_destroy(second) == 0 && context_pages() == 0);
  });
  check("making and ending", [] {
    aio_context_t context = 1;
    CHECK_ERRNO(io_setup(1, &context), EINVAL);
    context = 0;
    CHECK_ERRNO(io_setup(0, &context), EINVAL);
    CHECK_ERRNO(io_setup(unsigned(-1), &context), EINVAL);
    CHECK_ERRNO(io_setup(1, nullptr), EFAULT);
    CHECK_ERRNO(io_setup(65537, &context), EAGAIN);
    const pid_t locks = fork();
    if (locks == 0) {
      const rlimit none = {0, 0};
      CHECK(mlockall(MCL_FUTURE) == 0 && setrlimit(RLIMIT_MEMLOCK, &none) == 0 && setuid(65534) == 0);
      CHECK_ERRNO(io_setup(1, &context), ENOMEM);
      _exit(0);
    }
    int locked = -1;
    CHECK(waitpid(locks, &locked, 0) == locks && locked == 0);
    CHECK_ERRNO(io_destroy(0), EINVAL);
    CHECK_ERRNO(io_destroy(8), EINVAL);
    const aio_context_t first = make_context(), second = make_context(), third = make_context();
    CHECK(io_destroy(second) == 0 && io_destroy(first) == 0 && io_destroy(third) == 0);
    CHECK_ERRNO(io_destroy(third), EINVAL);
    const aio_context_t kept = make_context();
    const pid_t child = fork();
    if (child == 0) {
      CHECK_ERRNO(io_destroy(kept), EINVAL);
      make_context();  // which ends with the process
      _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0 && io_destroy(kept) == 0);
  });
  check("events", [] {
    const aio_context_t context = make_context();
    io_event events[4];
    timespec none = {0, 0}, brief = {0, 1000000};
    CHECK(io_getevents(context, 0, 4, events, &none) == 0 &&
          io_getevents(context, 1, 4, events, &brief) == 0);
    CHECK_ERRNO(io_getevents(context, -1, 4, events, &none), EINVAL);
    CHECK_ERRNO(io_getevents(context, 2, 1, events, &none), EINVAL);
    CHECK_ERRNO(io_getevents(0, 0, 1, events, &none), EINVAL);
    CHECK_ERRNO(io_getevents(context, 0, 1, events, reinterpret_cast<timespec*>(8)), EFAULT);
    const int file = open("file", O_RDONLY);
    char byte;
    iocb good = request_for(IOCB_CMD_PREAD, file, &byte, 1);
    iocb* some[] = {&good, &good, &good};
    CHECK(io_submit(context, 3, some) == 3);
    CHECK_ERRNO(io_getevents(context, 1, 3, reinterpret_cast<io_event*>(8), &none), EFAULT);
    CHECK(io_getevents(context, 1, 2, events) == 2 && io_getevents(context, 0, 4, events, &none) == 1);
    CHECK(close(file) == 0 && io_destroy(context) == 0);
  });
  check("nothing to cancel", [] {
    const aio_context_t context = make_context();
    char byte;
    const int file = open("file", O_RDONLY);
    iocb ended = request_for(IOCB_CMD_PREAD, file, &byte, 1);
    iocb* one = &ended;
    io_event event{};
    CHECK(io_submit(context, 1, &one) == 1);
    CHECK(io_getevents(context, 1, 1, &event) == 1);
    CHECK_ERRNO(io_cancel(context, &ended, &event), EINVAL);
    CHECK_ERRNO(io_cancel(0, &ended, &event), EINVAL);
    CHECK_ERRNO(io_cancel(context, nullptr, &event), EFAULT);
    CHECK(close(file) == 0 && io_destroy(context) == 0);
  });
}

int ended_with(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

void many() {
  check("many contexts", [] {
    std::vector<aio_context_t> made;
    for (int i = 0; i < 50; ++i) {
      made.push_back(make_context(1));
    }
    for (size_t i = 0; i < made.size(); i += 2) {
      CHECK(io_destroy(made[i]) == 0);
      CHECK_ERRNO(io_destroy(made[i]), EINVAL);
    }
    for (size_t i = 1; i < made.size(); i += 2) {
      CHECK(io_destroy(made[i]) == 0);
    }
    // They end with the process, and with its program.
    for (const bool executes : {false, true}) {
      const pid_t child = fork();
      if (child == 0) {
        for (int i = 0; i < 2000; ++i) {
          make_context(1);
        }
        if (executes) {
          execl("/proc/self/exe", "aio", "ends", nullptr);
        }
        _exit(executes ? 1 : 0);
      }
      CHECK(ended_with(child) == 0);
    }
  });
  check("many requests", [] {
    constexpr int kMany = 10000;
    const aio_context_t context = make_context(kMany);
    const int file = open("file", O_RDONLY);
    const int counter = eventfd(0, EFD_NONBLOCK);
    CHECK(file >= 0 && counter >= 0);
    char byte;
    iocb request = request_for(IOCB_CMD_PREAD, file, &byte, 1);
    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = static_cast<uint32_t>(counter);
    const std::vector<iocb*> all(kMany, &request);
    std::vector<io_event> events(kMany);
    for (int round = 0; round < 2; ++round) {
      CHECK(io_submit(context, kMany, const_cast<iocb**>(all.data())) == kMany);
      uint64_t count = 0;
      CHECK(read(counter, &count, 8) == 8 && count == kMany);
      CHECK(io_getevents(context, kMany, kMany, events.data()) == kMany);
      CHECK(events.front().res == 1 && events.back().res == 1);
    }
    CHECK(close(file) == 0 && close(counter) == 0 && io_destroy(context) == 0);
  });
  // Nothing is done after a signal that kills: here the first request causes it.
  check("killed between two requests", [] {
    const int file = open("after", O_RDWR | O_CREAT, 0644);
    int ends[2];
    CHECK(file >= 0 && pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      CHECK(fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETSIG, SIGKILL) == 0);
      CHECK(fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
      const aio_context_t context = make_context();
      iocb kills = request_for(IOCB_CMD_PWRITE, ends[1], "x", 1);
      iocb writes = request_for(IOCB_CMD_PWRITE, file, "x", 1);
      iocb* both[] = {&kills, &writes};
      io_submit(context, 2, both);
      _exit(1);
    }
    CHECK(WTERMSIG(ended_with(child)) == SIGKILL);
    CHECK(lseek(file, 0, SEEK_END) == 0 && close(file) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("a handled signal between two requests", [] {
    const int file = open("both", O_RDWR | O_CREAT, 0644);
    int ends[2];
    CHECK(file >= 0 && pipe(ends) == 0);
    static volatile sig_atomic_t handled = 0;
    CHECK(signal(SIGUSR1, [](int) { handled = handled + 1; }) != SIG_ERR);
    CHECK(fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETSIG, SIGUSR1) == 0);
    CHECK(fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
    const aio_context_t context = make_context();
    iocb signals = request_for(IOCB_CMD_PWRITE, ends[1], "x", 1);
    iocb writes = request_for(IOCB_CMD_PWRITE, file, "x", 1);
    iocb* both[] = {&signals, &writes};
    CHECK(io_submit(context, 2, both) == 2 && handled == 1 && lseek(file, 0, SEEK_END) == 1);
    CHECK(io_destroy(context) == 0 && close(file) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
  });
}

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    return 0;  // what "many contexts" runs
  }
  begin_with_fresh_directory();
  transfers();
  contexts();
  many();
  return finish();
}
