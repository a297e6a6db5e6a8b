#include "guest-mm/kernel/ipc/sem.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest::ipc {

namespace {
constinit Table g_sets{g_next_ids.semaphores};
}

Table& semaphore_sets() { return g_sets; }

u64 semaphore_count() {
  u64 count = 0;
  g_sets.for_each([&](Object& object) { count += static_cast<SemaphoreSet&>(object).all().size(); });
  return count;
}

SemaphoreSet::SemaphoreSet(HeapBuffer storage) : storage_(std::move(storage)) {
  std::ranges::fill(all(), Semaphore{});
}

SemaphoreSet::Tried SemaphoreSet::perform(std::span<const Operation> operations, Undo* undo, i32 pid) {
  const auto take_back = [&](u64 count) {
    while (count-- > 0) all()[operations[count].number].value -= operations[count].change;
  };
  for (u64 i = 0; i < operations.size(); ++i) {
    const Operation& operation = operations[i];
    Semaphore& semaphore = all()[operation.number];
    const i32 value = semaphore.value + operation.change;
    if (operation.change == 0 ? semaphore.value != 0 : value < 0) {
      take_back(i);
      return {-kEAGAIN, i};
    }
    const bool undone = (operation.flags & kUndo) != 0;
    const i32 change = undone ? undo->changes()[operation.number] - operation.change : 0;
    if (value > kMostValue || change < -kMostValue - 1 || change > kMostValue) {
      take_back(i);
      return {-kERANGE, i};
    }
    semaphore.value = value;
  }
  for (const Operation& operation : operations) {
    if ((operation.flags & kUndo) != 0) {
      i16& change = undo->changes()[operation.number];
      change = static_cast<i16>(change - operation.change);
    }
    all()[operation.number].last_pid = pid;
  }
  return {0, 0};
}

void SemaphoreSet::retry() {
  for (Sleeper* sleeper = first_; sleeper != nullptr;) {
    const Tried tried = perform(sleeper->operations, sleeper->undo, sleeper->pid);
    sleeper->blocking = tried.blocking;
    const bool no_wait = (sleeper->operations[tried.blocking].flags & kNoWait) != 0;
    if (tried.error == -kEAGAIN && !no_wait) {
      sleeper = sleeper->next;
      continue;
    }
    sleeper->done = true;
    sleeper->result = tried.error;
    leave(*sleeper);
    wake(sleeper->event);
    if (tried.error == 0) operated_at = now_seconds();
    sleeper = first_;  // it may have made possible what comes before
  }
}

void SemaphoreSet::add(Sleeper& sleeper) {
  Sleeper** link = &first_;
  while (*link != nullptr) link = &(*link)->next;
  sleeper.next = nullptr;
  *link = &sleeper;
}

void SemaphoreSet::leave(Sleeper& sleeper) {
  for (Sleeper** link = &first_; *link != nullptr; link = &(*link)->next) {
    if (*link == &sleeper) {
      *link = sleeper.next;
      return;
    }
  }
}

i32 SemaphoreSet::waiting(u64 number, bool for_zero) const {
  i32 count = 0;
  for (const Sleeper* sleeper = first_; sleeper != nullptr; sleeper = sleeper->next) {
    const Operation& operation = sleeper->operations[sleeper->blocking];
    count += operation.number == number && (operation.change == 0) == for_zero ? 1 : 0;
  }
  return count;
}

void SemaphoreSet::forget_undo(u64 number) {
  for (Undo* undo = undos; undo != nullptr; undo = undo->next_of_set) undo->changes()[number] = 0;
}

void SemaphoreSet::forget_all_undo() {
  for (Undo* undo = undos; undo != nullptr; undo = undo->next_of_set) std::ranges::fill(undo->changes(), 0);
}

Undo* SemaphoreSet::undo_of(Process& process) {
  for (Undo* undo = process.semaphore_undos; undo != nullptr; undo = undo->next_of_process) {
    if (undo->set == this) return undo;
  }
  Undo* const undo = make<Undo>();
  if (undo == nullptr) return nullptr;
  undo->storage = HeapBuffer(all().size() * sizeof(i16));
  if (!undo->storage) {
    destroy(undo);
    return nullptr;
  }
  std::ranges::fill(undo->changes(), 0);
  undo->set = this;
  undo->process = &process;
  undo->next_of_process = std::exchange(process.semaphore_undos, undo);
  undo->next_of_set = std::exchange(undos, undo);
  return undo;
}

void SemaphoreSet::remove() {
  const Ref<Object> held(this);
  g_sets.remove(*this);
  for (Undo* undo = std::exchange(undos, nullptr); undo != nullptr; undo = undo->next_of_set) {
    undo->set = nullptr;
  }
  while (Sleeper* const sleeper = first_) {
    leave(*sleeper);
    sleeper->done = true;
    sleeper->result = -kEIDRM;
    wake(sleeper->event);
  }
}

void undo_semaphores(Process& process) {
  while (Undo* const undo = process.semaphore_undos) {
    process.semaphore_undos = undo->next_of_process;
    if (SemaphoreSet* const set = undo->set; set != nullptr) {
      Undo** link = &set->undos;
      while (*link != undo) link = &(*link)->next_of_set;
      *link = undo->next_of_set;
      for (u64 number = 0; number < set->all().size(); ++number) {
        if (undo->changes()[number] == 0) continue;
        Semaphore& semaphore = set->all()[number];
        semaphore.value = std::clamp(semaphore.value + undo->changes()[number], 0, kMostValue);
        semaphore.last_pid = process.pid;
      }
      set->operated_at = now_seconds();
      set->retry();
    }
    destroy(undo);
  }
}

}  // namespace nopte::guest::ipc
