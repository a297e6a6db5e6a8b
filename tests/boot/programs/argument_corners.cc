// Arguments as programs seldom give them: what lies above an int's 32 bits counts for nothing, and which of
// two errors is told. Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

constexpr long kAbove = 0x7edc'ba98'0000'0000;

struct Call {
  const char* name;
  long number;
  long arguments[6];
  unsigned ints;  // a bit for each argument that Linux declares as an int
  long made = 0;  // > 0: it answers a descriptor, which is closed
};

long answer(const Call& call, bool above) {
  long a[6];
  for (int i = 0; i < 6; ++i) {
    const bool is_int = (call.ints >> i & 1) != 0;
    a[i] = !is_int ? call.arguments[i] : (call.arguments[i] & 0xffff'ffff) | (above ? kAbove : 0);
  }
  errno = 0;
  const long result = syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (result >= 0 && call.made != 0) {
    CHECK(close(static_cast<int>(result)) == 0);
    return 0;
  }
  return result < 0 ? -errno : result;
}

template <class T>
long address(const T* of) {
  return reinterpret_cast<long>(of);
}

void upper_halves() {
  check("what lies above an int", [] {
    put("file", "0123456789");
    CHECK(symlink("0123456789", "link") == 0 && mkdir("directory", 0755) == 0);
    const int file = open("file", O_RDWR), directory = open(".", O_RDONLY | O_DIRECTORY);
    const int event = eventfd(1, EFD_NONBLOCK), polling = epoll_create1(0), watching = inotify_init1(0);
    const int timer = timerfd_create(CLOCK_MONOTONIC, 0), stream = socket(AF_INET, SOCK_STREAM, 0);
    int ends[2], pair[2];
    CHECK(pipe2(ends, O_NONBLOCK) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    CHECK(file >= 0 && directory >= 0 && event >= 0 && polling >= 0 && watching >= 0 && timer >= 0 &&
          stream >= 0);
    char* const memory = static_cast<char*>(
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(memory != MAP_FAILED);
    static char buffer[4096];
    const iovec vector = {buffer, 1};
    const timespec none = {0, 0};
    const itimerspec off = {};
    pollfd polled = {event, POLLIN, 0};
    struct open_how_here {
      uint64_t flags, mode, resolve;
    } how = {O_RDONLY, 0, 0};
    sigset_t set;
    sigemptyset(&set);
    epoll_event wanted = {EPOLLIN, {}};
    const long here = AT_FDCWD, name = address("file"), link = address("link"), nowhere = address("nowhere");
    const long data = address(buffer), space = address(memory);
    const Call calls[] = {
        {"dup3", SYS_dup3, {file, 77, O_CLOEXEC}, 7, 1},
        {"dup3 flags", SYS_dup3, {file, 77, O_TRUNC}, 7},
        {"dup2", SYS_dup2, {file, 77}, 3, 1},
        {"dup", SYS_dup, {file}, 1, 1},
        {"close", SYS_close, {-1}, 1},
        {"close_range", SYS_close_range, {900, 901, 0}, 7},
        {"close_range flags", SYS_close_range, {900, 901, 1}, 7},
        {"fcntl", SYS_fcntl, {file, F_GETFL}, 3},
        {"ioctl", SYS_ioctl, {ends[0], FIONREAD, data}, 3},
        {"openat", SYS_openat, {here, name, O_RDONLY, 0}, 0xd, 1},
        {"open", SYS_open, {name, O_RDONLY, 0}, 6, 1},
        {"openat2", SYS_openat2, {here, name, address(&how), sizeof how}, 1, 1},
        {"unlinkat", SYS_unlinkat, {here, nowhere, AT_REMOVEDIR}, 5},
        {"unlinkat of a directory", SYS_unlinkat, {here, address("directory"), 0}, 5},
        {"execveat", SYS_execveat, {here, nowhere, 0, 0, AT_SYMLINK_NOFOLLOW}, 0x11},
        {"mkdirat", SYS_mkdirat, {here, name, 0700}, 5},
        {"mknodat", SYS_mknodat, {here, name, S_IFIFO | 0600, 0}, 0xd},
        {"linkat", SYS_linkat, {here, nowhere, here, nowhere, AT_SYMLINK_FOLLOW}, 0x15},
        {"renameat2", SYS_renameat2, {here, nowhere, here, nowhere, 1}, 0x15},
        {"readlink", SYS_readlink, {link, data, 4}, 4},
        {"readlinkat", SYS_readlinkat, {here, link, data, 4}, 9},
        {"newfstatat", SYS_newfstatat, {here, name, data, AT_SYMLINK_NOFOLLOW}, 9},
        {"statx", SYS_statx, {here, name, 0, 0x7ff, data}, 0xd},
        {"faccessat", SYS_faccessat, {here, name, R_OK}, 5},
        {"faccessat2", SYS_faccessat2, {here, name, R_OK, AT_EACCESS}, 0xd},
        {"fchmodat", SYS_fchmodat, {here, name, 0644}, 5},
        {"fchownat", SYS_fchownat, {here, name, -1, -1, AT_SYMLINK_NOFOLLOW}, 0x1d},
        {"utimensat", SYS_utimensat, {here, name, 0, AT_SYMLINK_NOFOLLOW}, 9},
        {"fallocate", SYS_fallocate, {file, FALLOC_FL_KEEP_SIZE, 0, 4096}, 3},
        {"fallocate, a hole",
         SYS_fallocate,
         {file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4096, 4096},
         3},
        {"fallocate, no such", SYS_fallocate, {file, 0x80, 0, 4096}, 3},
        {"lseek", SYS_lseek, {file, 3, SEEK_SET}, 5},
        {"lseek, data", SYS_lseek, {file, 3, SEEK_DATA}, 5},
        {"lseek, a hole", SYS_lseek, {file, 3, SEEK_HOLE}, 5},
        {"fadvise64", SYS_fadvise64, {file, 0, 10, POSIX_FADV_WILLNEED}, 9},
        {"sync_file_range", SYS_sync_file_range, {file, 0, 10, 2}, 9},
        {"preadv2", SYS_preadv2, {file, address(&vector), 1, 0, 0, RWF_HIPRI}, 0x21},
        {"pwritev2", SYS_pwritev2, {file, address(&vector), 1, 20, 0, RWF_DSYNC}, 0x21},
        {"copy_file_range", SYS_copy_file_range, {file, 0, file, 0, 0, 0}, 0x25},
        {"splice", SYS_splice, {ends[0], 0, ends[1], 0, 1, SPLICE_F_NONBLOCK}, 0x25},
        {"tee", SYS_tee, {ends[0], ends[0], 1, SPLICE_F_NONBLOCK}, 0xb},
        {"vmsplice", SYS_vmsplice, {ends[0], address(&vector), 1, SPLICE_F_NONBLOCK}, 9},
        {"pipe2", SYS_pipe2, {16, O_NONBLOCK}, 2},
        {"flock", SYS_flock, {file, LOCK_SH}, 3},
        {"getdents64", SYS_getdents64, {directory, data, 0}, 5},
        {"poll", SYS_poll, {address(&polled), 1, 0}, 6},
        {"ppoll", SYS_ppoll, {address(&polled), 1, address(&none), 0, 8}, 2},
        {"select", SYS_select, {0, 0, 0, 0, address(&none)}, 1},
        {"epoll_create1", SYS_epoll_create1, {EPOLL_CLOEXEC}, 1, 1},
        {"epoll_ctl", SYS_epoll_ctl, {polling, EPOLL_CTL_MOD, event, address(&wanted)}, 7},
        {"epoll_wait", SYS_epoll_wait, {polling, data, 1, 0}, 0xd},
        {"epoll_pwait", SYS_epoll_pwait, {polling, data, 1, 0, 0, 8}, 0xd},
        {"eventfd2", SYS_eventfd2, {1, EFD_NONBLOCK}, 3, 1},
        {"signalfd4", SYS_signalfd4, {-1, address(&set), 8, SFD_CLOEXEC}, 9, 1},
        {"timerfd_create", SYS_timerfd_create, {CLOCK_MONOTONIC, TFD_NONBLOCK}, 3, 1},
        {"timerfd_settime", SYS_timerfd_settime, {timer, TFD_TIMER_ABSTIME, address(&off), 0}, 3},
        {"inotify_init1", SYS_inotify_init1, {IN_CLOEXEC}, 1, 1},
        {"inotify_add_watch", SYS_inotify_add_watch, {watching, address("."), IN_CREATE}, 5},
        {"inotify_rm_watch", SYS_inotify_rm_watch, {watching, 77}, 3},
        {"memfd_create", SYS_memfd_create, {name, MFD_CLOEXEC}, 2, 1},
        {"socket", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, 7, 1},
        {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, 16}, 7},
        {"listen", SYS_listen, {stream, 3}, 3},
        {"accept4", SYS_accept4, {pair[0], 0, 0, SOCK_CLOEXEC}, 9},
        {"getsockopt", SYS_getsockopt, {stream, SOL_SOCKET, SO_TYPE, 16, 16}, 7},
        {"setsockopt", SYS_setsockopt, {stream, SOL_SOCKET, SO_KEEPALIVE, address("\1\0\0\0"), 4}, 0x17},
        {"shutdown", SYS_shutdown, {pair[0], 3}, 3},
        {"sendto", SYS_sendto, {pair[1], data, 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0}, 0x29},
        {"recvfrom", SYS_recvfrom, {pair[1], data, 1, MSG_DONTWAIT, 0, 0}, 9},
        {"madvise", SYS_madvise, {space, kPage, MADV_RANDOM}, 4},
        {"madvise, no such", SYS_madvise, {space, kPage, 77}, 4},
        {"msync", SYS_msync, {space, kPage, MS_SYNC}, 4},
        {"mlock2", SYS_mlock2, {space, kPage, 1}, 4},
        {"mlock2 flags", SYS_mlock2, {space, kPage, 2}, 4},
        {"mlockall", SYS_mlockall, {MCL_CURRENT}, 1},
        {"mlockall flags", SYS_mlockall, {64}, 1},
        {"mbind", SYS_mbind, {space, kPage, 0, 0, 0, MPOL_MF_STRICT}, 0x20},
        {"move_pages", SYS_move_pages, {0, 0, 0, 0, 0, MPOL_MF_MOVE}, 0x21},
        {"membarrier", SYS_membarrier, {0, 0, 0}, 7},
        {"futex", SYS_futex, {space, FUTEX_PRIVATE_FLAG | 1, 1}, 6},
        {"kill", SYS_kill, {getpid(), 0}, 3},
        {"tkill", SYS_tkill, {getpid(), 0}, 3},
        {"tgkill", SYS_tgkill, {getpid(), getpid(), 0}, 7},
        {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, 0, data, 8}, 1},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, address(&set), data, 8}, 1},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {999'999, SIGUSR1, data}, 3},
        {"pidfd_open", SYS_pidfd_open, {getpid(), 0}, 3, 1},
        {"wait4", SYS_wait4, {-1, 0, WNOHANG, 0}, 5},
        {"waitid", SYS_waitid, {P_ALL, 0, data, WNOHANG | WEXITED, 0}, 0xb},
        {"getpgid", SYS_getpgid, {getpid()}, 1},
        {"getpriority", SYS_getpriority, {PRIO_PROCESS, 0}, 3},
        {"setpriority", SYS_setpriority, {PRIO_PROCESS, 0, 0}, 7},
        {"sched_getparam", SYS_sched_getparam, {0, data}, 1},
        {"sched_getaffinity", SYS_sched_getaffinity, {0, 64, data}, 3},
        {"sched_get_priority_max", SYS_sched_get_priority_max, {SCHED_FIFO}, 1},
        {"prlimit64", SYS_prlimit64, {0, RLIMIT_NOFILE, 0, data}, 3},
        {"getrlimit", SYS_getrlimit, {RLIMIT_NOFILE, data}, 1},
        {"getrusage", SYS_getrusage, {RUSAGE_SELF, data}, 1},
        {"getitimer", SYS_getitimer, {ITIMER_VIRTUAL, data}, 1},
        {"clock_getres", SYS_clock_getres, {CLOCK_REALTIME, data}, 1},
        {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_REALTIME, TIMER_ABSTIME, address(&none), 0}, 3},
        {"timer_delete", SYS_timer_delete, {77}, 1},
        {"getgroups", SYS_getgroups, {-1, data}, 1},
        {"setgroups", SYS_setgroups, {-1, data}, 1},
        {"setfsuid", SYS_setfsuid, {-1}, 1},
        {"setresuid", SYS_setresuid, {-1, -1, -1}, 7},
        {"setreuid", SYS_setreuid, {-1, -1}, 3},
        {"semget", SYS_semget, {77, 1, 0}, 7},
        {"semop", SYS_semop, {-1, data, 1}, 5},
        {"semctl", SYS_semctl, {-1, 0, IPC_STAT, data}, 7},
        {"shmget", SYS_shmget, {77, 1, 0}, 5},
        {"shmctl", SYS_shmctl, {-1, IPC_STAT, data}, 3},
        {"shmat", SYS_shmat, {-1, 0, SHM_RDONLY}, 5},
        {"msgget", SYS_msgget, {77, 0}, 3},
        {"msgrcv", SYS_msgrcv, {-1, data, 1, 0, IPC_NOWAIT}, 0x11},
        {"mq_unlink", SYS_mq_unlink, {nowhere}, 0},
        {"setxattr", SYS_setxattr, {name, address("user.a"), data, 1, 2}, 0x10},
        {"personality", SYS_personality, {0xffff'ffff}, 1},
        {"prctl", SYS_prctl, {PR_GET_DUMPABLE}, 1},
        {"process_madvise", SYS_process_madvise, {-1, address(&vector), 1, MADV_COLD, 0}, 0x19},
        {"kcmp", SYS_kcmp, {getpid(), getpid(), 0, file, file}, 7},
        {"getrandom", SYS_getrandom, {data, 1, GRND_NONBLOCK}, 4},
        {"ioprio_get", SYS_ioprio_get, {1, 0}, 3},
        {"umask", SYS_umask, {022}, 1},
    };
    for (const Call& call : calls) {
      const long plain = answer(call, false), again = answer(call, true);
      if (plain != again) printf("%s: %ld, and with more above %ld\n", call.name, plain, again);
      CHECK(plain == again);
    }
    CHECK(munlockall() == 0);
    const int mask = umask(0);
    CHECK(mask == 022);
  });
}

// Which of two errors.
void both_wrong() {
  check("no such process and no such signal", [] {
    constexpr int kNobody = 999'999;
    for (const int signal : {-1, 65, 1000}) {
      CHECK_ERRNO(kill(kNobody, signal), ESRCH);
      CHECK_ERRNO(kill(-kNobody, signal), ESRCH);
      CHECK_ERRNO(syscall(SYS_tkill, kNobody, signal), ESRCH);
      CHECK_ERRNO(syscall(SYS_tgkill, kNobody, kNobody, signal), ESRCH);
      CHECK_ERRNO(kill(getpid(), signal), EINVAL);
      CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), signal), EINVAL);
      CHECK_ERRNO(syscall(SYS_tkill, getpid(), signal), EINVAL);
      CHECK(status_of_child([&] {
              CHECK(setpgid(0, 0) == 0);
              CHECK_ERRNO(kill(-getpgrp(), signal), EINVAL);
              CHECK_ERRNO(kill(0, signal), EINVAL);
            }) == 0);
    }
  });
  check("a bad type or flag and no such place", [] {
    for (const mode_t type : {mode_t{S_IFLNK}, mode_t{0170000}, mode_t{0030000}}) {
      CHECK_ERRNO(mknodat(-1, "new", type | 0600, 0), EINVAL);
      CHECK_ERRNO(mknod("none/new", type | 0600, 0), EINVAL);
    }
    CHECK_ERRNO(mknodat(-1, "new", S_IFDIR | 0600, 0), EPERM);
    CHECK_ERRNO(mknodat(-1, "new", S_IFIFO | 0600, 0), EBADF);
    CHECK_ERRNO(openat(-1, "new", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERRNO(openat(-1, "new", O_TMPFILE | O_RDWR, 0600), EBADF);
  });
  check("vectors and names before what cannot be read", [] {
    char* const memory = static_cast<char*>(
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(memory != MAP_FAILED && munmap(memory + kPage, kPage) == 0);
    char* const end = memory + kPage;
    iovec* const last = reinterpret_cast<iovec*>(end) - 1;
    int ends[2];
    CHECK(pipe(ends) == 0);
    *last = {memory, ~size_t{0}};
    CHECK_ERRNO(writev(ends[1], last, 2), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_madvise, -1, last, 2, 77, 0), EINVAL);
    *last = {memory, 1};
    CHECK_ERRNO(writev(ends[1], last, 2), EFAULT);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    char name[16];
    memcpy(end - 15, "123456789abcdef", 15);
    CHECK(prctl(PR_SET_NAME, end - 15) == 0 && prctl(PR_GET_NAME, name) == 0);
    CHECK(memcmp(name, "123456789abcdef", 16) == 0);
    CHECK_ERRNO(prctl(PR_SET_NAME, end - 14), EFAULT);
    const int group = socket(AF_INET, SOCK_DGRAM, 0);
    const in_addr wanted[2] = {{htonl(0xe000'0003)}, {htonl(INADDR_LOOPBACK)}};
    memcpy(end - 8, wanted, 8);
    CHECK_ERRNO(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, end - 7, 8), EFAULT);
    CHECK_ERRNO(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, end - 8, 12), EFAULT);
    CHECK_ERRNO(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, end - 8, 7), EINVAL);
    CHECK(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, end - 8, 8) == 0);
    CHECK(setsockopt(group, IPPROTO_IP, IP_DROP_MEMBERSHIP, end - 8, 11) == 0);
    CHECK(close(group) == 0);
  });
  check("nodes of more than a page of bits", [] {
    static char mask[8192];
    CHECK(syscall(SYS_get_mempolicy, nullptr, mask, 8 * kPage, nullptr, 0) == 0);
    CHECK(syscall(SYS_get_mempolicy, nullptr, mask, 8 * kPage + 1, nullptr, 0) == 0);
    CHECK_ERRNO(syscall(SYS_get_mempolicy, nullptr, mask, 8 * kPage + 2, nullptr, 0), EINVAL);
  });
  check("what another node is asked for", [] {
    unsigned long none = 0;
    CHECK_ERRNO(syscall(SYS_set_mempolicy, MPOL_DEFAULT, &none, 0), EINVAL);
    CHECK(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0) == 0);
    CHECK(syscall(SYS_set_mempolicy, MPOL_DEFAULT, &none, 1) == 0);
    char* const memory = static_cast<char*>(
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const auto home = [](char* at, size_t bytes, unsigned long node, unsigned long flags) {
      return syscall(SYS_set_mempolicy_home_node, at, bytes, node, flags);
    };
    unsigned long first = 1;
    CHECK(home(nullptr, 0, 0, 0) == 0);
    CHECK_ERRNO(home(memory + 1, kPage, 0, 0), EINVAL);
    CHECK_ERRNO(home(memory, kPage, 0, 1), EINVAL);
    CHECK_ERRNO(home(memory, kPage, 1024, 0), EINVAL);
    CHECK_ERRNO(home(memory, ~size_t{0} - kPage, 0, 0), EINVAL);
    CHECK_ERRNO(home(memory, kPage, 0, 0), ENOENT);
    CHECK(syscall(SYS_mbind, memory, kPage, MPOL_BIND, &first, 2, 0) == 0);
    CHECK(home(memory, 2 * kPage, 0, 0) == 0);
    CHECK_ERRNO(home(memory + kPage, kPage, 0, 0), ENOENT);
    CHECK(syscall(SYS_mbind, memory + kPage, kPage, MPOL_INTERLEAVE, &first, 2, 0) == 0);
    CHECK_ERRNO(home(memory, 2 * kPage, 0, 0), EOPNOTSUPP);
    CHECK(munmap(memory, 4 * kPage) == 0);
  });
  check("what is new was born when it changed last", [] {
    const auto one_time = [](const char* path) {
      struct statx now;
      CHECK(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_ALL, &now) == 0);
      const auto same = [&](const statx_timestamp& time) {
        return time.tv_sec == now.stx_ctime.tv_sec && time.tv_nsec == now.stx_ctime.tv_nsec;
      };
      return same(now.stx_btime) && same(now.stx_mtime) && same(now.stx_atime);
    };
    CHECK(close(open("new", O_CREAT | O_WRONLY, 0600)) == 0 && one_time("new"));
    CHECK(mkdir("new_directory", 0700) == 0 && one_time("new_directory"));
    CHECK(symlink("new", "new_link") == 0 && one_time("new_link"));
    CHECK(mkfifo("new_pipe", 0600) == 0 && one_time("new_pipe"));
  });
  check("semaphores, groups and times", [] {
    sembuf one = {0, 0, IPC_NOWAIT};
    CHECK_ERRNO(syscall(SYS_semop, -1, nullptr, 501), E2BIG);
    CHECK_ERRNO(syscall(SYS_semop, -1, nullptr, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_semop, -1, 16, 1), EFAULT);
    CHECK_ERRNO(syscall(SYS_semop, -1, &one, 1), EINVAL);
    char* const memory = static_cast<char*>(
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(memory != MAP_FAILED && munmap(memory + kPage, kPage) == 0);
    gid_t* const last = reinterpret_cast<gid_t*>(memory + kPage) - 1;
    *last = gid_t(-1);
    CHECK_ERRNO(syscall(SYS_setgroups, 2, last), EINVAL);
    *last = 1;
    CHECK_ERRNO(syscall(SYS_setgroups, 2, last), EFAULT);
    const timespec wrong[2] = {{0, 2'000'000'000}, {0, 0}};
    CHECK_ERRNO(utimensat(AT_FDCWD, "nowhere", wrong, 0), ENOENT);
    CHECK_ERRNO(utimensat(AT_FDCWD, "file", wrong, 0), EINVAL);
    CHECK_ERRNO(futimens(-1, wrong), EBADF);
    // Beyond the descriptors that there is room for nothing is read.
    uint64_t* const set = reinterpret_cast<uint64_t*>(memory + kPage) - 1;
    *set = 0;
    timeval now = {0, 0};
    CHECK(status_of_child([&] {
            CHECK(close_range(3, ~0U, 0) == 0);
            CHECK(status_of_child([&] { CHECK(syscall(SYS_select, 1024, set, set, set, &now) == 0); }) == 0);
          }) == 0);
  });
  check("a socket's owner by ioctl", [] {
    int ends[2], owner = -1;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    for (const int get : {0x8903, 0x8904}) {  // FIOGETOWN, SIOCGPGRP
      CHECK(ioctl(ends[0], get, &owner) == 0 && owner == 0);
      CHECK_ERRNO(ioctl(ends[0], get, 16), EFAULT);
    }
    for (const int set : {0x8901, 0x8902}) {  // FIOSETOWN, SIOCSPGRP
      CHECK_ERRNO(ioctl(ends[0], set, 16), EFAULT);
      owner = 999'999;
      CHECK_ERRNO(ioctl(ends[0], set, &owner), ESRCH);
      owner = -getpgrp();
      CHECK(ioctl(ends[0], set, &owner) == 0 && fcntl(ends[0], F_GETOWN) == -getpgrp());
      CHECK(ioctl(ends[0], 0x8903, &owner) == 0 && owner == -getpgrp());
      owner = getpid();
      CHECK(ioctl(ends[0], set, &owner) == 0 && ioctl(ends[0], 0x8904, &owner) == 0 && owner == getpid());
      CHECK(fcntl(ends[0], F_SETOWN, 0) == 0);
    }
    CHECK(pipe(ends) == 0);
    CHECK_ERRNO(ioctl(ends[0], 0x8903, &owner), ENOTTY);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  umask(022);
  upper_halves();
  both_wrong();
  return finish();
}
