// System V semaphores. The same on Linux.
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

#include "tests/boot/programs/ipc_checks.h"

namespace {

union Argument {
  int value;
  semid_ds* status;
  unsigned short* all;
  seminfo* info;
};

int made(int count) {
  const int id = semget(IPC_PRIVATE, count, IPC_CREAT | 0600);
  CHECK(id >= 0);
  return id;
}
void remove(int id) { CHECK(semctl(id, 0, IPC_RMID) == 0); }
void set(int id, int number, int value) { CHECK(semctl(id, number, SETVAL, Argument{.value = value}) == 0); }
int value(int id, int number) { return semctl(id, number, GETVAL); }
int operate(int id, std::initializer_list<sembuf> operations) {
  sembuf copy[8];
  size_t count = 0;
  for (const sembuf& one : operations) copy[count++] = one;
  return semop(id, copy, count);
}

void keys_find_sets() {
  CHECK_ERRNO(semget(kNewKey, 1, 0), ENOENT);
  CHECK_ERRNO(semget(kNewKey, 0, IPC_CREAT | 0600), EINVAL);
  CHECK_ERRNO(semget(kNewKey, -1, IPC_CREAT | 0600), EINVAL);
  CHECK_ERRNO(semget(kNewKey, 32001, IPC_CREAT | 0600), EINVAL);
  const int id = semget(kNewKey, 3, IPC_CREAT | IPC_EXCL | 0640);
  CHECK(id >= 0 && semget(kNewKey, 0, 0) == id && semget(kNewKey, 3, IPC_CREAT) == id);
  CHECK_ERRNO(semget(kNewKey, 4, 0), EINVAL);
  CHECK_ERRNO(semget(kNewKey, 3, IPC_CREAT | IPC_EXCL), EEXIST);
  semid_ds status{};
  CHECK(semctl(id, 0, IPC_STAT, Argument{.status = &status}) == 0);
  CHECK(status.sem_nsems == 3 && status.sem_otime == 0 && status.sem_ctime != 0 &&
        status.sem_perm.mode == 0640);
  remove(id);
  CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

void values_are_set_and_told() {
  const int id = made(3);
  unsigned short all[3] = {1, 2, 32767};
  CHECK(semctl(id, 0, SETALL, Argument{.all = all}) == 0 && value(id, 1) == 2 && value(id, 2) == 32767);
  all[1] = 32768;
  CHECK_ERRNO(semctl(id, 0, SETALL, Argument{.all = all}), ERANGE);
  CHECK(semctl(id, 0, GETALL, Argument{.all = all}) == 0 && all[0] == 1 && all[1] == 2);
  CHECK_ERRNO(semctl(id, 0, SETVAL, Argument{.value = 32768}), ERANGE);
  CHECK_ERRNO(semctl(id, 0, SETVAL, Argument{.value = -1}), ERANGE);
  CHECK_ERRNO(semctl(id, 3, GETVAL), EINVAL);
  CHECK_ERRNO(semctl(id, -1, GETVAL), EINVAL);
  CHECK_ERRNO(semctl(id, 3, SETVAL, Argument{.value = 1}), EINVAL);
  CHECK_ERRNO(semctl(id, 0, 77), EINVAL);
  CHECK_ERRNO(semctl(id, 0, GETALL, Argument{.all = nullptr}), EFAULT);
  CHECK_ERRNO(semctl(id, 0, SETALL, Argument{.all = nullptr}), EFAULT);
  CHECK_ERRNO(semctl(id, 0, IPC_STAT, Argument{.status = reinterpret_cast<semid_ds*>(1)}), EFAULT);
  CHECK(semctl(id, 0, GETPID) == getpid() && semctl(id, 0, GETNCNT) == 0 && semctl(id, 0, GETZCNT) == 0);
  remove(id);
}

void operations_are_all_or_nothing() {
  const int id = made(2);
  set(id, 0, 5);
  CHECK_ERRNO(operate(id, {{0, -3, 0}, {1, -1, IPC_NOWAIT}}), EAGAIN);
  CHECK(value(id, 0) == 5);
  CHECK(operate(id, {{0, -3, 0}, {1, 4, 0}, {0, 1, 0}}) == 0 && value(id, 0) == 3 && value(id, 1) == 4);
  CHECK_ERRNO(operate(id, {{0, 0, IPC_NOWAIT}}), EAGAIN);
  CHECK_ERRNO(operate(id, {{1, 1, 0}, {0, 32767, 0}}), ERANGE);
  CHECK(value(id, 1) == 4);
  CHECK_ERRNO(operate(id, {{2, 1, 0}}), EFBIG);
  sembuf one{0, 1, 0};
  CHECK_ERRNO(semop(id, &one, 0), EINVAL);
  CHECK_ERRNO(semop(-1, &one, 1), EINVAL);
  CHECK_ERRNO(semop(id + 1, &one, 1), EINVAL);
  CHECK_ERRNO(semop(id, nullptr, 1), EFAULT);
  CHECK_ERRNO(semop(id, &one, 501), E2BIG);
  remove(id);
}

void timeouts_end_a_wait() {
  const int id = made(1);
  sembuf one{0, -1, 0};
  timespec wait{0, 1'000'000};
  CHECK_ERRNO(semtimedop(id, &one, 1, &wait), EAGAIN);
  wait.tv_nsec = -1;
  CHECK_ERRNO(semtimedop(id, &one, 1, &wait), EINVAL);
  CHECK_ERRNO(semtimedop(id, &one, 1, reinterpret_cast<timespec*>(1)), EFAULT);
  remove(id);
}

// Forks what waits for the operation; its wait's errno becomes its status.
pid_t waiting(int id, sembuf operation) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(semop(id, &operation, 1) == 0 ? 0 : errno);
  await_state(child, 'S');
  return child;
}
int status_of(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}
void on_signal(int) {}

void sleepers_are_counted_and_woken() {
  const int id = made(2);
  set(id, 1, 1);
  const pid_t grows = waiting(id, {0, -2, 0});
  const pid_t zero = waiting(id, {1, 0, 0});
  CHECK(semctl(id, 0, GETNCNT) == 1 && semctl(id, 0, GETZCNT) == 0);
  CHECK(semctl(id, 1, GETNCNT) == 0 && semctl(id, 1, GETZCNT) == 1);
  CHECK(operate(id, {{0, 1, 0}}) == 0 && semctl(id, 0, GETNCNT) == 1);
  CHECK(operate(id, {{0, 2, 0}, {1, -1, 0}}) == 0);
  CHECK(status_of(grows) == 0 && status_of(zero) == 0 && value(id, 0) == 1);
  CHECK(semctl(id, 0, GETPID) == grows);
  const pid_t last = waiting(id, {0, -5, 0});
  set(id, 0, 6);
  CHECK(status_of(last) == 0 && value(id, 0) == 1);
  remove(id);
}

void the_end_of_a_set_is_told() {
  const int id = made(1);
  const pid_t first = waiting(id, {0, -1, 0});
  const pid_t second = waiting(id, {0, -1, 0});
  CHECK(kill(first, SIGKILL) == 0);
  int status = 0;
  CHECK(waitpid(first, &status, 0) == first && semctl(id, 0, GETNCNT) == 1);
  remove(id);
  CHECK(status_of(second) == EIDRM);
}

void a_signal_interrupts() {
  const int id = made(1);
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
  const pid_t child = waiting(id, {0, -1, 0});
  CHECK(kill(child, SIGUSR1) == 0 && status_of(child) == EINTR && semctl(id, 0, GETNCNT) == 0);
  remove(id);
}

void the_end_of_a_process_undoes() {
  const int id = made(2);
  set(id, 0, 3);
  CHECK(status_of_child([&] {
          CHECK(operate(id, {{0, -2, SEM_UNDO}, {1, 4, SEM_UNDO}, {1, 1, 0}}) == 0);
          CHECK(value(id, 0) == 1 && value(id, 1) == 5);
          CHECK(in_child([&] { return true; }));  // inherits nothing of it
          CHECK(value(id, 0) == 1);
        }) == 0);
  CHECK(value(id, 0) == 3 && value(id, 1) == 1);
  // Undoing stops at 0, wakes who waits, and setting the value forgets it.
  CHECK(status_of_child(
            [&] { CHECK(operate(id, {{1, 4, SEM_UNDO}}) == 0 && operate(id, {{1, -5, 0}}) == 0); }) == 0);
  CHECK(value(id, 1) == 0);
  set(id, 0, 1);
  int ready[2];
  CHECK(pipe(ready) == 0);
  fflush(stdout);
  const pid_t holder = fork();
  if (holder == 0) {
    CHECK(operate(id, {{0, -1, SEM_UNDO}}) == 0 && write(ready[1], "x", 1) == 1);
    pause();
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  const pid_t child = waiting(id, {0, -1, 0});
  CHECK(kill(holder, SIGKILL) == 0 && status_of(child) == 0 && waitpid(holder, nullptr, 0) == holder);
  CHECK(status_of_child([&] {
          CHECK(operate(id, {{0, 2, SEM_UNDO}}) == 0);
          set(id, 0, 7);
        }) == 0);
  CHECK(value(id, 0) == 7);
  remove(id);
}

void the_system_tells_of_all() {
  const int id = made(4);
  seminfo info{};
  const int last = semctl(0, 0, IPC_INFO, Argument{.info = &info});
  CHECK(last >= 0 && info.semmni == 32000 && info.semmsl == 32000 && info.semopm == 500 &&
        info.semvmx == 32767);
  CHECK(semctl(0, 0, SEM_INFO, Argument{.info = &info}) == last && info.semusz >= 1 && info.semaem >= 4);
  bool found = false;
  for (int slot = 0; slot <= last; ++slot) {
    semid_ds one;
    found = found || semctl(slot, 0, SEM_STAT, Argument{.status = &one}) == id;
  }
  CHECK(found);
  semid_ds status{};
  CHECK(semctl(id, 0, IPC_STAT, Argument{.status = &status}) == 0);
  status.sem_perm.mode = 0666;
  CHECK(semctl(id, 0, IPC_SET, Argument{.status = &status}) == 0);
  CHECK(head_of("/proc/sysvipc/sem") ==
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime");
  int key, got;
  unsigned mode, count;
  CHECK(sscanf(line_of("/proc/sysvipc/sem", id).c_str(), "%d %d %o %u", &key, &got, &mode, &count) == 4);
  CHECK(key == 0 && mode == 0666 && count == 4);
  remove(id);
}

}  // namespace

int main() {
  start();
  check("keys find sets", keys_find_sets);
  check("values are set and told", values_are_set_and_told);
  check("operations are all or nothing", operations_are_all_or_nothing);
  check("timeouts end a wait", timeouts_end_a_wait);
  check("sleepers are counted and woken", sleepers_are_counted_and_woken);
  check("the end of a set is told", the_end_of_a_set_is_told);
  check("a signal interrupts", a_signal_interrupts);
  check("the end of a process undoes", the_end_of_a_process_undoes);
  check("the system tells of all", the_system_tells_of_all);
  return finish();
}
