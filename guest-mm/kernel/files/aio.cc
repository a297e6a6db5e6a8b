#include "guest-mm/kernel/files/aio.h"

#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/scheduler.h"

namespace nopte::guest::files {

namespace {

// One more for an eventfd, unless it is full.
void count(File& counter) {
  u64 one = 1;
  if ((counter.poll() & kPollOut) != 0) {
    static_cast<void>(counter.write(IoBuffer::kernel(&one), sizeof one, 0, nullptr));
  }
}

void file_woken(WatchingWaiter& waiter) {
  auto& poll = static_cast<AioPoll&>(waiter);
  if (poll.ended) {
    return;
  }
  if (const u32 events = poll.file->poll() & poll.wanted; events != 0) {
    poll.ended = true;
    poll.event.result = events;
    poll.context.complete(poll.event, poll.counter.get());
  }
}

}  // namespace

AioPoll::AioPoll(AioContext& of, Ref<File> what)
    : WatchingWaiter(file_woken), context(of), file(std::move(what)) {}

Ref<AioContext> AioContext::make(u32 requests, u64 id) {
  HeapBuffer events(requests * sizeof(AioEvent));
  return events ? make_counted<AioContext>(std::move(events), requests, id) : Ref<AioContext>();
}

AioContext::AioContext(HeapBuffer events, u32 most, u64 number)
    : id(number), requests(most), events_(std::move(events)) {}

bool AioContext::reserve() {
  sweep();
  if (used_ == requests || closed_) {
    return false;
  }
  ++used_;
  return true;
}

void AioContext::complete(const AioEvent& event, File* counter) {
  reinterpret_cast<AioEvent*>(events_.data())[(first_ + ended_) % requests] = event;
  ++ended_;
  wake(queue);
  if (counter != nullptr) {
    count(*counter);
  }
}

bool AioContext::watch(const Ref<File>& file, const Ref<File>& counter, u32 wanted, const AioEvent& event) {
  UniquePtr<AioPoll> poll = make_unique<AioPoll>(*this, file);
  if (!poll) {
    return false;
  }
  poll->counter = counter;
  poll->wanted = wanted;
  poll->event = event;
  file_woken(*poll);
  if (!poll->ended) {
    if (WaitQueue* const where = file->poll_queue(); where != nullptr) {
      where->watch(*poll);
    }
    poll->next = std::exchange(polls_, poll.get());
    static_cast<void>(poll.release());
  }
  return true;
}

bool AioContext::cancel(u64 request) {
  for (AioPoll* poll = polls_; poll != nullptr; poll = poll->next) {
    if (!poll->ended && poll->event.request == request) {
      poll->ended = true;
      complete(poll->event, poll->counter.get());
      return true;
    }
  }
  return false;
}

void AioContext::sweep() {
  for (AioPoll** link = &polls_; *link != nullptr;) {
    AioPoll* const poll = *link;
    if (poll->ended || closed_) {
      *link = poll->next;
      const UniquePtr<AioPoll> gone(poll);
    } else {
      link = &poll->next;
    }
  }
}

void AioContext::close() {
  closed_ = true;
  g_aio.requests -= requests;
  sweep();
  wake(queue);
}

const AioEvent* AioContext::first_event() const {
  return ended_ != 0 ? reinterpret_cast<const AioEvent*>(events_.data()) + first_ : nullptr;
}

void AioContext::take_event() {
  first_ = (first_ + 1) % requests;
  --ended_;
  --used_;
}

void drop_aio_contexts(Process& process) {
  for (Ref<AioContext> context(process.aio_contexts); context; context = context->next) {
    context->close();
  }
  if (AioContext* const first = std::exchange(process.aio_contexts, nullptr); first != nullptr) {
    first->release();
  }
}

}  // namespace nopte::guest::files
