#include "guest-mm/kernel/files/events/pidfd.h"

#include "guest-mm/kernel/files/proc/text_builder.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

ThreadWatch::ThreadWatch(Thread& watched) : Inode(0600), thread_(&watched) { watched.watch = this; }

ThreadWatch::~ThreadWatch() {
  if (thread_ != nullptr) {
    thread_->watch = nullptr;
  }
}

Ref<ThreadWatch> ThreadWatch::of(Thread& thread) {
  return thread.watch != nullptr ? Ref<ThreadWatch>(thread.watch) : make_counted<ThreadWatch>(thread);
}

void ThreadWatch::ended() { wake(changed); }

void ThreadWatch::released() {
  thread_ = nullptr;
  wake(changed);
  if (tracee != nullptr) forget_tracee(*this);  // may be the last that holds this
}

Pidfd::Pidfd(const Ref<ThreadWatch>& watch, Of of, u32 flags)
    : File(watch, flags | kOpenReadWrite), watch_(*watch), of_(of) {}

u32 Pidfd::poll() {
  const Thread* const watched = thread();
  if (watched == nullptr) {
    return kPollIn | kPollReadNormal | kPollHangUp;
  }
  const bool ended = of_ == Of::kThread ? watched->state == ThreadState::kEnded : watched->process->ended();
  return ended ? kPollIn | kPollReadNormal : 0;
}

void Pidfd::add_info(TextBuilder& out) const {
  const i32 id = thread() == nullptr ? -1 : thread()->tid;
  out.add("Pid:\t", id, "\nNSpid:\t", id, '\n');
}

Ref<File> make_pidfd(Thread& thread, Pidfd::Of of, u32 flags) {
  const Ref<ThreadWatch> watch = ThreadWatch::of(thread);
  return watch ? Ref<File>(make_counted<Pidfd>(watch, of, flags)) : Ref<File>();
}

}  // namespace nopte::guest::files
