#include "guest-mm/kernel/files/events/aio.h"

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::files {

namespace {

// One more for an eventfd, unless it is full.
void count(File& counter) {
  u64 one = 1;
  if ((counter.poll() & kPollOut) != 0) {
    static_cast<void>(counter.write(IoBuffer::kernel(&one), sizeof one, 0, nullptr));
  }
}

}  // namespace

Ref<AioContext> AioContext::make(u32 requests, u64 id) {
  HeapBuffer events(requests * sizeof(AioEvent));
  return events ? make_counted<AioContext>(std::move(events), requests, id) : Ref<AioContext>();
}

AioContext::AioContext(HeapBuffer events, u32 most, u64 number)
    : id(number), requests(most), events_(std::move(events)) {}

bool AioContext::reserve() {
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

void AioContext::close() {
  closed_ = true;
  g_aio.requests -= requests;
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
  // One at a time: who lets go of a context lets go of what follows it, and there may be thousands.
  Ref<AioContext> context = Ref<AioContext>::adopt(std::exchange(process.aio_contexts, nullptr));
  while (context) {
    context->close();
    context = std::exchange(context->next, nullptr);
  }
}

}  // namespace nopte::guest::files
