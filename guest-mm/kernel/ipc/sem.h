// System V semaphores (ipc/sem.c of 6.12): sets of them, operations that happen all or not at all, and what a
// process's end undoes.
//
// Who has to wait lies in the set's list, with its operations; whoever changes a semaphore performs what has
// become possible, in the order of coming, and wakes those whose operations were.
#pragma once

#include <span>

#include "guest-mm/kernel/ipc/objects.h"
#include "guest-mm/kernel/schedule/wait_queue.h"

namespace nopte::guest {
struct Process;
}

namespace nopte::guest::ipc {

inline constexpr i32 kMostValue = 32767;

// /proc/sys/kernel/sem: SEMMSL, SEMMNS, SEMOPM, SEMMNI.
inline constinit i32 g_sem_limits[4] = {32000, 1'024'000'000, 500, 32000};

// sembuf
struct Operation {
  u16 number;
  i16 change;
  u16 flags;
};
inline constexpr u16 kUndo = 010000;

struct Semaphore {
  i32 value = 0;
  i32 last_pid = 0;
};

class SemaphoreSet;

// What a process's end adds to a set's semaphores.
struct Undo {
  SemaphoreSet* set = nullptr;  // null: it is gone
  Process* process = nullptr;
  Undo* next_of_process = nullptr;
  Undo* next_of_set = nullptr;
  HeapBuffer storage;
  [[nodiscard]] std::span<i16> changes() const {
    return {reinterpret_cast<i16*>(storage.data()), storage.bytes() / sizeof(i16)};
  }
};

// Operations that wait.
struct Sleeper {
  std::span<const Operation> operations;
  Undo* undo = nullptr;
  i32 pid = 0;
  bool done = false;
  i64 result = 0;
  u64 blocking = 0;  // which operation cannot be performed
  WaitQueue event;
  Sleeper* next = nullptr;
};

class SemaphoreSet final : public Object {
 public:
  explicit SemaphoreSet(HeapBuffer storage);

  [[nodiscard]] std::span<Semaphore> all() const {
    return {reinterpret_cast<Semaphore*>(storage_.data()), storage_.bytes() / sizeof(Semaphore)};
  }
  // All of the operations, or none. Errors: kEAGAIN (`blocking` has to wait), kERANGE.
  struct Tried {
    i64 error;
    u64 blocking;
  };
  Tried perform(std::span<const Operation> operations, Undo* undo, i32 pid);
  // Performs what has become possible.
  void retry();
  void add(Sleeper& sleeper);
  void leave(Sleeper& sleeper);
  // How many wait for that semaphore to grow, or to become 0.
  [[nodiscard]] i32 waiting(u64 number, bool for_zero) const;
  // Nothing will be undone of semaphore `number`; of any.
  void forget_undo(u64 number);
  void forget_all_undo();
  // The running process's, made when it is missing. Null: no memory.
  Undo* undo_of(Process& process);
  void remove();

  i64 operated_at = 0;
  i64 changed_at = 0;
  Undo* undos = nullptr;

 private:
  HeapBuffer storage_;
  Sleeper* first_ = nullptr;
};

Table& semaphore_sets();
u64 semaphore_count();

// At a process's end: adds what it left to be undone.
void undo_semaphores(Process& process);

}  // namespace nopte::guest::ipc
