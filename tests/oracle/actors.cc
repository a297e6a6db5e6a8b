// Actors are processes and threads. Each waits in a futex for its turn; who ends one waits until it is gone,
// so that what its end does (descriptors, mappings) is done before the next operation.
#include "tests/oracle/actors.h"

#include <linux/futex.h>
#include <sched.h>

#include "tests/oracle/operations.h"

namespace oracle {
namespace {

constexpr size_t kStackBytes = 32768;
alignas(16) char stacks[kActors][kStackBytes];

constexpr uint64_t kTaken = 1 << (SIGUSR1 - 1) | 1 << (SIGUSR2 - 1);
void mask(int how) { call(SYS_rt_sigprocmask, how, address_of(&kTaken), 0, sizeof(kTaken)); }

void arrived(int me, int64_t group, int64_t parent, bool is_thread) {
  shared->actors[me] = {true, is_thread, group, call(SYS_gettid), parent};
}

int thread_begins(void* me) {
  play(static_cast<int>(reinterpret_cast<intptr_t>(me)));
  return 0;
}

// Whether an actor may be made as `which`; says so when not.
bool is_free(int64_t which) {
  if (which > 0 && which < kActors && !shared->actors[which].alive) return true;
  shared->add(" taken");
  return false;
}

// Whether `me` may end `which`: waits for its process, which has no others to wait for, or is in its process.
bool may_end(int64_t which, int me) {
  const Actor& actor = shared->actors[which];
  bool may = which > 0 && actor.alive && which != me;
  may = may && (actor.is_thread ? actor.group : actor.parent) == shared->actors[me].group;
  for (const Actor& other : shared->actors) {
    may = may && !(!actor.is_thread && other.alive && !other.is_thread && other.parent == actor.group);
  }
  if (!may) shared->add(" not its");
  return may;
}

void wait_for_process(int64_t which) {
  const int64_t group = shared->actors[which].group;
  int status = 0;
  const int64_t waited = call(SYS_wait4, group, address_of(&status), 0, 0);
  shared->add(waited == group ? " status %x" : " waited for another: status %x", status);
  for (Actor& actor : shared->actors) actor.alive = actor.alive && actor.group != group;
}

}  // namespace

void prepare_first_actor() {
  install_handlers();
  mask(SIG_BLOCK);
  arrived(0, call(SYS_getpid), 0, false);
}

void finish() {
  if (shared->turn >= 0) {
    while (call(SYS_wait4, -1, 0, 0, 0) > 0) {
    }
  }
  call(SYS_exit_group, 0);
  __builtin_unreachable();
}

// fork ACTOR
void do_fork(const int64_t* n, int me) {
  if (!is_free(n[0])) return;
  const int who = static_cast<int>(n[0]);
  const int64_t child = call(SYS_fork);
  if (child == 0) {
    play(who);
    finish();
  }
  if (child < 0) return shared->add_result(child);
  shared->actors[who] = {true, false, child, child, shared->actors[me].group};
  shared->add_result(0);
}

// thread ACTOR
void do_thread(const int64_t* n, int me) {
  if (!is_free(n[0])) return;
  const int who = static_cast<int>(n[0]);
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  const int made = clone(thread_begins, stacks[who] + kStackBytes, flags,
                         reinterpret_cast<void*>(static_cast<intptr_t>(who)), &shared->thread_ids[who],
                         nullptr, &shared->thread_ids[who]);
  if (made < 0) return shared->add(" no thread");
  shared->actors[who] = {true, true, shared->actors[me].group, made, shared->actors[me].parent};
  shared->add_result(0);
}

// end ACTOR: it leaves, and is waited for.
void do_end(const int64_t* n, int me) {
  if (!may_end(n[0], me)) return;
  Actor& actor = shared->actors[n[0]];
  tell_to_leave(static_cast<int>(n[0]));
  if (!actor.is_thread) return wait_for_process(n[0]);
  for (int id; (id = __atomic_load_n(&shared->thread_ids[n[0]], __ATOMIC_SEQ_CST)) != 0;) {
    call(SYS_futex, address_of(&shared->thread_ids[n[0]]), FUTEX_WAIT, id, 0);
  }
  actor.alive = false;
  shared->add(" thread ended");
}

// kill ACTOR SIGNAL: one that ends it, and all of its process.
void do_kill(const int64_t* n, int me) {
  if (!may_end(n[0], me)) return;
  if (shared->actors[n[0]].is_thread) return shared->add(" a thread");
  shared->add_result(call(SYS_kill, shared->actors[n[0]].group, n[1]));
  wait_for_process(n[0]);
}

// signal ACTOR SIGNAL TO_PROCESS: one that is blocked.
void do_signal(const int64_t* n, int) {
  const Actor& actor = shared->actors[n[0]];
  if (!actor.alive) return shared->add(" nobody");
  shared->add_result(n[2] != 0 ? call(SYS_kill, actor.group, n[1])
                               : call(SYS_tgkill, actor.group, actor.id, n[1]));
}

// What is pending, one after the other.
void do_take(const int64_t*, int) {
  const timespec no_time = {};
  siginfo_t info = {};
  int64_t got = 0;
  while ((got = call(SYS_rt_sigtimedwait, address_of(&kTaken), address_of(&info), address_of(&no_time),
                     sizeof(kTaken))) > 0) {
    bool known = false;
    for (const Actor& actor : shared->actors) known = known || actor.group == info.si_pid;
    shared->add(" %ld code %d%s", got, info.si_code, known ? "" : " from a stranger");
  }
  shared->add_result(got);
}

// What is pending, to handlers.
void do_deliver(const int64_t*, int) {
  mask(SIG_UNBLOCK);
  mask(SIG_BLOCK);
  shared->add_result(0);
}

}  // namespace oracle
