// Limits that hold for users, and of processor time: RLIMIT_NPROC, SIGPENDING, MSGQUEUE, CPU. RLIMIT_NICE and
// RTPRIO are in scheduling_rights.cc. The same on Linux.
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/spending.h"

namespace {

constexpr uid_t kUser = 54321, kOther = 54322;

int set(int resource, rlim_t now, rlim_t most) {
  const rlimit limit{now, most};
  return setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

// In a child that becomes the user.
template <class Body>
void as_user(Body body, uid_t user = kUser) {
  const int status = status_of_child([&] {
    CHECK(setresuid(user, user, user) == 0);
    body();
  });
  CHECK(status == 0);
}

pid_t sleeper() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  return child;
}
void end(pid_t child) { CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child); }

void processes() {
  as_user([] {
    CHECK(set(RLIMIT_NPROC, 3, 3) == 0);
    const pid_t first = sleeper(), second = sleeper();
    CHECK(first > 0 && second > 0);
    CHECK_ERRNO(fork(), EAGAIN);
    CHECK_ERRNO(vfork(), EAGAIN);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, nullptr,
                        nullptr, nullptr, nullptr),
                EAGAIN);
    CHECK(kill(first, SIGKILL) == 0);
    siginfo_t info;
    CHECK(waitid(P_PID, static_cast<id_t>(first), &info, WEXITED | WNOWAIT) == 0);
    CHECK_ERRNO(fork(), EAGAIN);  // one that nobody waited for counts
    CHECK(waitpid(first, nullptr, 0) == first);
    const pid_t third = sleeper();
    CHECK(third > 0);
    end(second);
    end(third);
  });
  // Others' do not count, and root is not bound.
  const int status = status_of_child([] {
    CHECK(set(RLIMIT_NPROC, 1, 1) == 0);
    const pid_t own = sleeper();
    CHECK(own > 0);
    end(own);
    as_user([] { CHECK_ERRNO(fork(), EAGAIN); });
    as_user([] { CHECK(set(RLIMIT_NPROC, 0, 1) == 0 && getuid() == kOther); }, kOther);
  });
  CHECK(status == 0);
}

// Who became a user's that has too many cannot exec, unless there are fewer by then.
void too_many_to_exec() {
  int ready[2], go[2];
  CHECK(pipe(ready) == 0 && pipe(go) == 0);
  pid_t holders[2];
  for (pid_t& holder : holders) {
    holder = fork();
    CHECK(holder >= 0);
    if (holder == 0) {
      CHECK(setresuid(kUser, kUser, kUser) == 0 && write(ready[1], "x", 1) == 1);
      for (;;) pause();
    }
    char byte;
    CHECK(read(ready[0], &byte, 1) == 1);
  }
  char* const arguments[] = {const_cast<char*>("no such program"), nullptr};
  const int refused = status_of_child([&] {
    CHECK(set(RLIMIT_NPROC, 1, 1) == 0 && setresuid(kUser, kUser, kUser) == 0);
    CHECK_ERRNO(execv("/no such program", arguments), EAGAIN);
    CHECK_ERRNO(execv("/no such program", arguments), EAGAIN);
    CHECK_ERRNO(fork(), EAGAIN);
  });
  CHECK(refused == 0);
  const pid_t waits = fork();
  CHECK(waits >= 0);
  if (waits == 0) {
    CHECK(set(RLIMIT_NPROC, 1, 1) == 0 && setresuid(kUser, kUser, kUser) == 0);
    char byte;
    CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 1);
    CHECK_ERRNO(execv("/no such program", arguments), ENOENT);
    _exit(0);
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  for (const pid_t holder : holders) end(holder);
  int status;
  CHECK(write(go[1], "x", 1) == 1 && waitpid(waits, &status, 0) == waits && status == 0);
}

void counted_while_becoming() {
  const int status = status_of_child([] {
    CHECK(set(RLIMIT_NPROC, 1, 1) == 0 && setresuid(kUser, kUser, kUser) == 0);
    char* const arguments[] = {const_cast<char*>("no such program"), nullptr};
    CHECK_ERRNO(execv("/no such program", arguments), ENOENT);  // there is one of the user's, this one
  });
  CHECK(status == 0);
}

void waiting_signals() {
  as_user([] {
    sigset_t set_of_two;
    sigemptyset(&set_of_two);
    sigaddset(&set_of_two, SIGRTMIN);
    sigaddset(&set_of_two, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &set_of_two, nullptr) == 0);
    CHECK(set(RLIMIT_SIGPENDING, 3, 3) == 0);
    const sigval value{7};
    for (int i = 0; i < 3; ++i) CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
    CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
    timer_t timer;
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, nullptr, &timer), EAGAIN);
    CHECK(kill(getpid(), SIGRTMIN) == 0 && kill(getpid(), SIGUSR1) == 0);
    siginfo_t info;
    for (int i = 0; i < 3; ++i) CHECK(sigwaitinfo(&set_of_two, &info) > 0);
    const timespec none{0, 0};
    while (sigtimedwait(&set_of_two, &info, &none) > 0) {
    }
    CHECK(timer_create(CLOCK_MONOTONIC, nullptr, &timer) == 0);
    for (int i = 0; i < 2; ++i) CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
    CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
    CHECK(timer_delete(timer) == 0 && sigqueue(getpid(), SIGRTMIN, value) == 0);
    // Another user's have room.
    const int other = status_of_child([&] {
      CHECK(sigqueue(getppid(), SIGRTMIN, value) == -1 && errno == EAGAIN);
      CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
    });
    CHECK(other == 0);
  });
  const int status = status_of_child([] {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &only, nullptr) == 0 && set(RLIMIT_SIGPENDING, 2, 2) == 0);
    const sigval value{1};
    as_user([&] {
      CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0 && sigqueue(getpid(), SIGRTMIN, value) == 0);
      const int inner = status_of_child([&] { CHECK_ERRNO(sigqueue(getpid(), SIGRTMIN, value), EAGAIN); });
      CHECK(inner == 0);
    });
    as_user([&] { CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0); }, kOther);
  });
  CHECK(status == 0);
}

mqd_t queue(const char* name, long messages, long bytes) {
  mq_attr attributes{};
  attributes.mq_maxmsg = messages;
  attributes.mq_msgsize = bytes;
  return mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
}

void message_queues() {
  // 10 messages of 100 bytes and what Linux keeps for each: 1000 + 10 * 48 + 10 * 48.
  constexpr rlim_t kOne = 1960;
  as_user([] {
    CHECK(set(RLIMIT_MSGQUEUE, 2 * kOne, 2 * kOne) == 0);
    const mqd_t one = queue("/user_limits_1", 10, 100), two = queue("/user_limits_2", 10, 100);
    CHECK(one >= 0 && two >= 0);
    CHECK_ERRNO(queue("/user_limits_3", 1, 1), EMFILE);
    CHECK(mq_unlink("/user_limits_1") == 0);
    CHECK_ERRNO(queue("/user_limits_3", 1, 1), EMFILE);  // it is open still
    CHECK(mq_close(one) == 0);
    const mqd_t three = queue("/user_limits_3", 10, 100);
    CHECK(three >= 0 && mq_close(three) == 0);
  });
  as_user(
      [] {
        CHECK(set(RLIMIT_MSGQUEUE, kOne, kOne) == 0);
        const mqd_t own = queue("/user_limits_4", 10, 100);
        CHECK(own >= 0 && mq_unlink("/user_limits_4") == 0 && mq_close(own) == 0);
        CHECK_ERRNO(queue("/user_limits_4", 10, 101), EMFILE);
        CHECK_ERRNO(queue("/user_limits_4", 11, 10), EINVAL);
      },
      kOther);
  CHECK(mq_unlink("/user_limits_2") == 0 && mq_unlink("/user_limits_3") == 0);
}

// Who is to be told of a message, and ends, is forgotten though others have the queue open.
void a_notification_ends_with_its_process() {
  const mqd_t shared = queue("/user_limits_5", 2, 10);
  CHECK(shared >= 0 && mq_unlink("/user_limits_5") == 0);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  CHECK(status_of_child([&] { CHECK(mq_notify(shared, &event) == 0); }) == 0);
  CHECK(mq_notify(shared, &event) == 0);
  CHECK(mq_notify(shared, nullptr) == 0 && mq_close(shared) == 0);
}

int* g_counted;  // shared

[[noreturn]] void spin() {
  alarm(20);
  for (;;) spend_instructions();
}

void processor_time() {
  g_counted =
      static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  CHECK(g_counted != MAP_FAILED);
  signal(SIGXCPU, [](int) {
    ++g_counted[0];
    rlimit limit;
    getrlimit(RLIMIT_CPU, &limit);
    g_counted[1] = static_cast<int>(limit.rlim_cur);
  });
  // A child has the limit, and a time of its own: SIGXCPU at once, SIGKILL a second later.
  int status = status_of_child([] {
    rlimit limit;
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGXCPU);
    CHECK(sigprocmask(SIG_BLOCK, &only, nullptr) == 0 && set(RLIMIT_CPU, 0, 1) == 0);
    const int inner = status_of_child([&] {
      CHECK(sigprocmask(SIG_UNBLOCK, &only, nullptr) == 0);
      spin();
    });
    CHECK(WIFSIGNALED(inner) && WTERMSIG(inner) == SIGKILL && g_counted[0] == 1 && g_counted[1] == 1);
    CHECK(getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_max == 1);
  });
  CHECK(status == 0);
  signal(SIGXCPU, SIG_DFL);
  status = status_of_child([] {
    CHECK(set(RLIMIT_CPU, 0, 1) == 0);
    spin();
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
  status = status_of_child([] {
    CHECK(set(RLIMIT_CPU, 1, RLIM_INFINITY) == 0 && set(RLIMIT_CPU, RLIM_INFINITY, RLIM_INFINITY) == 0);
    timespec now;
    do {
      spend_instructions();
      CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    } while (now.tv_sec == 0 || now.tv_nsec < 100'000'000);
  });
  CHECK(status == 0);
}

}  // namespace

int main() {
  check("a user's processes", processes);
  check("too many to exec", too_many_to_exec);
  check("one who becomes a user's counts", counted_while_becoming);
  check("signals that wait", waiting_signals);
  check("message queues", message_queues);
  check("a notification ends with its process", a_notification_ends_with_its_process);
  check("processor time", processor_time);
  return finish();
}
