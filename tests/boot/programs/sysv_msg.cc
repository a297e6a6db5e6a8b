// System V message queues. The same on Linux.
#include <sys/ipc.h>
#include <sys/msg.h>

#include <climits>

#include "tests/boot/programs/ipc_checks.h"

namespace {

struct Text {
  long type;
  char text[64];
};

int made() {
  const int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
  CHECK(id >= 0);
  return id;
}
void remove(int id) { CHECK(msgctl(id, IPC_RMID, nullptr) == 0); }
msqid_ds status(int id) {
  msqid_ds status{};
  CHECK(msgctl(id, IPC_STAT, &status) == 0);
  return status;
}
void send(int id, long type, const char* text) {
  Text message{.type = type, .text = {}};
  strcpy(message.text, text);
  CHECK(msgsnd(id, &message, strlen(text), IPC_NOWAIT) == 0);
}
// The type and the text that come, as "7:text"; else the error's name.
std::string received(int id, long type, int flags = 0, size_t room = 64) {
  Text message{};
  const ssize_t bytes = msgrcv(id, &message, room, type, flags | IPC_NOWAIT);
  if (bytes < 0) return strerrorname_np(errno);
  return std::to_string(message.type) + ":" + std::string(message.text, size_t(bytes));
}

void types_choose() {
  const int id = made();
  for (const long type : {5, 3, 9, 3}) send(id, type, std::to_string(type * 11).c_str());
  CHECK(received(id, 0) == "5:55" && received(id, 9) == "9:99" && received(id, 4) == "ENOMSG");
  CHECK(received(id, -2) == "ENOMSG" && received(id, -5) == "3:33");
  send(id, 4, "late");
  CHECK(received(id, 3, MSG_EXCEPT) == "4:late" && received(id, 3, MSG_EXCEPT) == "ENOMSG");
  CHECK(received(id, 3, 0, 1) == "E2BIG" && received(id, 3, MSG_NOERROR, 1) == "3:3");
  CHECK(received(id, 0) == "ENOMSG");
  for (const long type : {8, 2, 6, 2}) send(id, type, "x");
  CHECK(received(id, -8) == "2:x" && received(id, -8) == "2:x" && received(id, -8) == "6:x");
  CHECK(received(id, LONG_MIN) == "8:x");
  remove(id);
}

void copies_stay() {
  const int id = made();
  send(id, 1, "first");
  send(id, 2, "second");
  CHECK(received(id, 1, MSG_COPY) == "2:second" && received(id, 0, MSG_COPY) == "1:first");
  CHECK(received(id, 2, MSG_COPY) == "ENOMSG" && received(id, 0, MSG_COPY | MSG_EXCEPT) == "EINVAL");
  CHECK(status(id).msg_qnum == 2);
  Text message;
  CHECK_ERRNO(msgrcv(id, &message, 64, 0, MSG_COPY), EINVAL);
  remove(id);
}

void arguments_are_checked() {
  const int id = made();
  Text message{.type = 1, .text = {}};
  CHECK_ERRNO(msgsnd(id, nullptr, 1, 0), EFAULT);
  CHECK_ERRNO(msgsnd(-1, &message, 1, 0), EINVAL);
  CHECK_ERRNO(msgsnd(id, &message, size_t(-1), 0), EINVAL);
  static char big[8200 + sizeof(long)];
  big[0] = 1;
  CHECK_ERRNO(msgsnd(id, big, 8193, 0), EINVAL);
  message.type = 0;
  CHECK_ERRNO(msgsnd(id, &message, 1, 0), EINVAL);
  message.type = -1;
  CHECK_ERRNO(msgsnd(id, &message, 1, 0), EINVAL);
  CHECK_ERRNO(msgrcv(id, &message, size_t(-1), 0, 0), EINVAL);
  CHECK_ERRNO(msgrcv(-1, &message, 1, 0, 0), EINVAL);
  send(id, 1, "text");
  CHECK_ERRNO(msgrcv(id, nullptr, 64, 0, IPC_NOWAIT), EFAULT);
  CHECK_ERRNO(msgctl(id, IPC_STAT, reinterpret_cast<msqid_ds*>(1)), EFAULT);
  CHECK_ERRNO(msgctl(id, IPC_SET, reinterpret_cast<msqid_ds*>(1)), EFAULT);
  CHECK_ERRNO(msgctl(id, 77, nullptr), EINVAL);
  CHECK_ERRNO(msgctl(-1, IPC_RMID, nullptr), EINVAL);
  remove(id);
  CHECK_ERRNO(msgrcv(id, &message, 64, 0, 0), EINVAL);
  message.type = 1;
  CHECK_ERRNO(msgsnd(id, &message, 1, 0), EINVAL);
}

void keys_and_status() {
  CHECK_ERRNO(msgget(kNewKey, 0), ENOENT);
  const int id = msgget(kNewKey, IPC_CREAT | IPC_EXCL | 0620);
  CHECK(id >= 0 && msgget(kNewKey, 0) == id);
  CHECK_ERRNO(msgget(kNewKey, IPC_CREAT | IPC_EXCL), EEXIST);
  send(id, 2, "four");
  msqid_ds all = status(id);
  CHECK(all.msg_qnum == 1 && all.msg_cbytes == 4 && all.msg_qbytes == 16384 && all.msg_lspid == getpid());
  CHECK(all.msg_stime != 0 && all.msg_rtime == 0 && all.msg_lrpid == 0 && all.msg_perm.mode == 0620);
  all.msg_qbytes = 100;
  all.msg_perm.mode = 0600;
  CHECK(msgctl(id, IPC_SET, &all) == 0 && status(id).msg_qbytes == 100 && status(id).msg_perm.mode == 0600);
  msginfo info{};
  const int last = msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&info));
  CHECK(last >= 0 && info.msgmax == 8192 && info.msgmnb == 16384 && info.msgssz == 16);
  CHECK(msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&info)) == last && info.msgpool >= 1);
  CHECK(head_of("/proc/sysvipc/msg") ==
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime"
        "      rtime      ctime");
  int key, got;
  unsigned mode, bytes, count;
  CHECK(sscanf(line_of("/proc/sysvipc/msg", id).c_str(), "%d %d %o %u %u", &key, &got, &mode, &bytes,
               &count) == 5);
  CHECK(key == kNewKey && mode == 0600 && bytes == 4 && count == 1);
  remove(id);
}

void a_full_queue_waits() {
  const int id = made();
  msqid_ds all = status(id);
  all.msg_qbytes = 8;
  CHECK(msgctl(id, IPC_SET, &all) == 0);
  send(id, 1, "12345678");
  Text message{.type = 2, .text = "next"};
  CHECK_ERRNO(msgsnd(id, &message, 4, IPC_NOWAIT), EAGAIN);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    await_state(getppid(), 'S');
    _exit(received(id, 0) == "1:12345678" ? 0 : 1);
  }
  CHECK(msgsnd(id, &message, 4, 0) == 0 && received(id, 0) == "2:next");
  int code = 0;
  CHECK(waitpid(child, &code, 0) == child && code == 0);
  remove(id);
}

void on_signal(int) {}

void who_waits_hears_of_the_end() {
  const int id = made();
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    Text message;
    const bool gone = msgrcv(id, &message, 64, 0, 0) == -1 && errno == EIDRM;
    _exit(gone ? 0 : 1);
  }
  await_state(child, 'S');
  remove(id);
  int code = 0;
  CHECK(waitpid(child, &code, 0) == child && code == 0);
  // A handler ends the wait, SA_RESTART or not.
  const int other = made();
  fflush(stdout);
  const pid_t second = fork();
  if (second == 0) {
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    Text message;
    const bool interrupted = msgrcv(other, &message, 64, 0, 0) == -1 && errno == EINTR;
    _exit(interrupted ? 0 : 1);
  }
  await_state(second, 'S');
  CHECK(kill(second, SIGUSR1) == 0 && waitpid(second, &code, 0) == second && code == 0);
  remove(other);
}

// /proc/sys/kernel/msg_next_id: the id of one queue; what is taken already, the next.
void ids_can_be_chosen() {
  const auto next_id = [] {
    int number = -2;
    FILE* const file = fopen("/proc/sys/kernel/msg_next_id", "r");
    CHECK(file != nullptr && fscanf(file, "%d", &number) == 1 && fclose(file) == 0);
    return number;
  };
  const auto choose = [](int number) {
    FILE* const file = fopen("/proc/sys/kernel/msg_next_id", "w");
    CHECK(file != nullptr && fprintf(file, "%d", number) > 0);
    return fclose(file) == 0;
  };
  CHECK(next_id() == -1 && !choose(-5));
  const int wanted = 7 << 15 | 1234;
  CHECK(choose(wanted) && next_id() == wanted);
  const int first = msgget(IPC_PRIVATE, 0600);
  CHECK(first == wanted && next_id() == -1 && choose(wanted));
  const int second = msgget(IPC_PRIVATE, 0600);
  const int third = msgget(IPC_PRIVATE, 0600);
  CHECK(second == wanted + 1 && third != wanted + 2);
  for (const int id : {first, second, third}) CHECK(msgctl(id, IPC_RMID, nullptr) == 0);
}

}  // namespace

int main() {
  start();
  check("types choose", types_choose);
  check("copies stay", copies_stay);
  check("arguments are checked", arguments_are_checked);
  check("keys and status", keys_and_status);
  check("a full queue waits", a_full_queue_waits);
  check("who waits hears of the end", who_waits_hears_of_the_end);
  check("ids can be chosen", ids_can_be_chosen);
  return finish();
}
