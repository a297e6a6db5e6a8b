// mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr.
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/ipc/mq.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

using namespace ipc;  // NOLINT(google-build-using-namespace): the calls are this folder's
using files::ErrnoOr;
using files::get_user;
using files::put_user;

namespace {

// struct mq_attr
struct Attributes {
  i64 flags = 0;
  i64 most_messages = 0;
  i64 most_bytes = 0;
  i64 messages = 0;
  i64 reserved[4] = {};
};

// struct sigevent
struct Event {
  u64 value;
  i32 signal;
  i32 kind;
  u64 rest[6];
};
static_assert(sizeof(Event) == 64);
constexpr i32 kSignal = 0, kNone = 1, kThread = 2;

// The name in the queues' directory, without the slash that C libraries take away.
i64 check_name(std::string_view name) {
  if (name.empty()) {
    return -kENOENT;
  }
  if (name == "." || name == ".." || name.find('/') != std::string_view::npos) {
    return -kEACCES;
  }
  return name.size() > files::kNameBytes ? -kENAMETOOLONG : 0;
}

// An absolute time of the wall clock at `address`, or none. 0, -EFAULT, -EINVAL.
i64 load_deadline(u64 address, u64& deadline_ns) {
  deadline_ns = kNoDeadline;
  if (address == 0) {
    return 0;
  }
  Timespec time;
  if (const i64 error = get_user(time, address); error != 0) {
    return error;
  }
  if (!time.valid()) {
    return -kEINVAL;
  }
  deadline_ns = time.ns();
  return 0;
}

// Until a Unix time.
i64 wait_on(WaitQueue& event, u64 wall_deadline_ns) {
  Waiter set;
  g_clock_was_set.add(set);
  switch (block_on(event, deadline_of_wall(wall_deadline_ns))) {
    case WakeReason::kSignal:
      return -kERESTARTSYS;
    case WakeReason::kTimeout:
      return -kETIMEDOUT;
    case WakeReason::kWoken:
      return 0;
  }
  return 0;
}

ErrnoOr<Ref<PosixQueue>> create(std::string_view name, u32 mode, bool given, const Attributes& attributes) {
  i64 messages = std::min(g_mq_limits.most_messages, g_mq_limits.usual_messages);
  i64 bytes = std::min(g_mq_limits.most_bytes, g_mq_limits.usual_bytes);
  if (given) {
    messages = attributes.most_messages;
    bytes = attributes.most_bytes;
    const bool bound = !capable(Capability::kSysResource);
    if (messages <= 0 || bytes <= 0 || messages > (bound ? g_mq_limits.most_messages : kHardMessages) ||
        bytes > (bound ? g_mq_limits.most_bytes : kHardBytes)) {
      return files::ErrnoFail(kEINVAL);
    }
  }
  return make_queue(name, mode & 0777 & ~files::current_directories().umask, messages, bytes);
}

u32 asked_for(u32 flags) {
  const u32 access = flags & files::kOpenAccessMask;
  return (access != files::kOpenWriteOnly ? files::kMayRead : 0) |
         (access != files::kOpenReadOnly ? files::kMayWrite : 0);
}

// The queue behind a descriptor that may be used so; null.
struct Used {
  Ref<files::File> file;
  PosixQueue* queue = nullptr;
};
Used used(u64 descriptor) {
  files::File* const file = files::file_of(descriptor);
  PosixQueue* const queue = file != nullptr ? file->as_queue() : nullptr;
  return queue != nullptr ? Used{Ref<files::File>(file), queue} : Used{};
}

// SIGEV_THREAD: the descriptor of the socket stands where a signal's number would, the cookie's address as
// value.
ErrnoOr<UniquePtr<MqCookie>> cookie_of(const Event& event) {
  char text[MqCookie::kBytes];
  if (!arch::copy_from_user(text, Gva{event.value}, sizeof text)) {
    return files::ErrnoFail(kEFAULT);
  }
  files::File* const file = files::file_of(static_cast<u32>(event.signal));
  if (file == nullptr) {
    return files::ErrnoFail(kEBADF);
  }
  net::Socket* const socket = file->inode() != nullptr ? file->inode()->as_socket() : nullptr;
  if (socket == nullptr || socket->family != net::kFamilyNetlink) {
    return files::ErrnoFail(socket == nullptr ? kENOTSOCK : kEINVAL);
  }
  auto& told = static_cast<net::RouteSocket&>(*socket);
  const Ref<files::File> hold(file);
  while (told.overfull()) {  // until its reader reads
    if (block_on(told.queue) == WakeReason::kSignal) {
      return files::ErrnoFail(kERESTARTSYS);
    }
  }
  net::Record* const record = told.make_notice(sizeof text);
  if (record == nullptr) {
    return files::ErrnoFail(kENOMEM);
  }
  std::memcpy(record->data(), text, sizeof text);
  UniquePtr<MqCookie> cookie = make_unique<MqCookie>(told, record);
  if (!cookie) {
    net::free_record(record);
    return files::ErrnoFail(kENOMEM);
  }
  return cookie;
}

}  // namespace

i64 sys_mq_open(const SyscallArgs& args) {
  const auto flags = static_cast<u32>(args.a1);
  Attributes attributes;
  if (args.a3 != 0) {
    if (const i64 error = get_user(attributes, args.a3); error != 0) {
      return error;
    }
  }
  files::UserPath path;
  if (const i64 error = path.load(args.a0); error != 0) {
    return error;
  }
  if (const i64 error = check_name(path.text()); error != 0) {
    return error;
  }
  Ref<PosixQueue> queue(find_queue(path.text()));
  if (queue) {
    if ((flags & files::kOpenCreate) != 0 && (flags & files::kOpenExclusive) != 0) {
      return -kEEXIST;
    }
    if ((flags & files::kOpenAccessMask) == files::kOpenAccessMask) {
      return -kEINVAL;
    }
    if (const i64 error = permission(*queue, asked_for(flags)); error != 0) {
      return error;
    }
  } else {
    if ((flags & files::kOpenCreate) == 0) {
      return -kENOENT;
    }
    ErrnoOr<Ref<PosixQueue>> made = create(path.text(), static_cast<u32>(args.a2), args.a3 != 0, attributes);
    if (!made) {
      return files::negated(made.error());
    }
    queue = std::move(*made);
    give_owner(*queue, nullptr);
  }
  ErrnoOr<Ref<files::File>> file = queue->open(flags & (files::kOpenAccessMask | files::kOpenNonBlock));
  return file ? files::current_files().table.insert(std::move(*file), files::CloseOnExec::kYes)
              : files::negated(file.error());
}

i64 sys_mq_unlink(const SyscallArgs& args) {
  files::UserPath path;
  if (const i64 error = path.load(args.a0); error != 0) {
    return error;
  }
  if (const i64 error = check_name(path.text()); error != 0) {
    return error;
  }
  // The directory of queues is root's and sticky.
  const PosixQueue* const queue = find_queue(path.text());
  if (queue != nullptr && identity().user.file != 0 && !files::owns(*queue)) {
    return -kEPERM;
  }
  return unlink_queue(path.text()) ? 0 : -kENOENT;
}

i64 sys_mq_timedsend(const SyscallArgs& args) {
  const u64 bytes = args.a2;
  const auto priority = static_cast<u32>(args.a3);
  u64 deadline_ns = kNoDeadline;
  if (const i64 error = load_deadline(args.a4, deadline_ns); error != 0) {
    return error;
  }
  if (priority >= kPriorities) {
    return -kEINVAL;
  }
  const Used to = used(args.a0);
  if (to.queue == nullptr || !to.file->writable()) {
    return -kEBADF;
  }
  PosixQueue& queue = *to.queue;
  if (bytes > static_cast<u64>(queue.most_bytes)) {
    return -kEMSGSIZE;
  }
  UniquePtr<PostedMessage> message = make_unique<PostedMessage>();
  if (!message) {
    return -kENOMEM;
  }
  message->priority = priority;
  if (bytes != 0) {
    message->text = HeapBuffer(bytes);
    if (!message->text) {
      return -kENOMEM;
    }
    if (!arch::copy_from_user(message->text.data(), Gva{args.a1}, bytes)) {
      return -kEFAULT;
    }
  }
  while (queue.full()) {
    if (to.file->non_blocking()) {
      return -kEAGAIN;
    }
    if (const i64 error = wait_on(queue.left, deadline_ns); error != 0 && queue.full()) {
      return error;
    }
  }
  queue.post(*message.release());
  return 0;
}

i64 sys_mq_timedreceive(const SyscallArgs& args) {
  u64 deadline_ns = kNoDeadline;
  if (const i64 error = load_deadline(args.a4, deadline_ns); error != 0) {
    return error;
  }
  const Used from = used(args.a0);
  if (from.queue == nullptr || !from.file->readable()) {
    return -kEBADF;
  }
  PosixQueue& queue = *from.queue;
  if (args.a2 < static_cast<u64>(queue.most_bytes)) {
    return -kEMSGSIZE;
  }
  while (queue.empty()) {
    if (from.file->non_blocking()) {
      return -kEAGAIN;
    }
    ++queue.receivers;
    const i64 error = wait_on(queue.arrived, deadline_ns);
    --queue.receivers;
    if (error != 0 && queue.empty()) {
      return error;
    }
  }
  const UniquePtr<PostedMessage> message(&queue.take());
  const u64 bytes = message->text.bytes();
  if (args.a3 != 0) {
    if (const i64 error = put_user(args.a3, message->priority); error != 0) {
      return error;
    }
  }
  if (bytes != 0 && !arch::copy_to_user(Gva{args.a1}, message->text.data(), bytes)) {
    return -kEFAULT;
  }
  return static_cast<i64>(bytes);
}

i64 sys_mq_notify(const SyscallArgs& args) {
  Event event{};
  UniquePtr<MqCookie> cookie;
  if (args.a1 != 0) {
    if (const i64 error = get_user(event, args.a1); error != 0) {
      return error;
    }
    if ((event.kind != kNone && event.kind != kSignal && event.kind != kThread) ||
        (event.kind == kSignal && (event.signal < 0 || event.signal > kSignals))) {
      return -kEINVAL;
    }
    if (event.kind == kThread) {
      ErrnoOr<UniquePtr<MqCookie>> made = cookie_of(event);
      if (!made) {
        return files::negated(made.error());
      }
      cookie = std::move(*made);
    }
  }
  const Used of = used(args.a0);
  if (of.queue == nullptr) {
    return -kEBADF;
  }
  MqNotification& notification = of.queue->notification;
  const Process& self = current_process();
  if (args.a1 == 0) {
    if (of.queue->notified() == &self) {
      of.queue->forget_notification();
    }
    return 0;
  }
  if (of.queue->notified() != nullptr) {
    return -kEBUSY;
  }
  notification = {.pid = self.pid,
                  .started_ns = self.started_ns,
                  .signal = event.kind == kSignal ? event.signal : 0,
                  .value = event.value,
                  .cookie = std::move(cookie)};
  return 0;
}

i64 sys_mq_getsetattr(const SyscallArgs& args) {
  Attributes wanted;
  if (args.a1 != 0) {
    if (const i64 error = get_user(wanted, args.a1); error != 0) {
      return error;
    }
    if ((wanted.flags & ~i64{files::kOpenNonBlock}) != 0) {
      return -kEINVAL;
    }
  }
  const Used of = used(args.a0);
  if (of.queue == nullptr) {
    return -kEBADF;
  }
  files::File& file = *of.file;
  const Attributes now{.flags = file.flags() & files::kOpenNonBlock,
                       .most_messages = of.queue->most_messages,
                       .most_bytes = of.queue->most_bytes,
                       .messages = of.queue->messages()};
  if (args.a1 != 0) {
    file.set_status_flags((file.flags() & ~files::kOpenNonBlock) | static_cast<u32>(wanted.flags));
  }
  return args.a2 != 0 ? put_user(args.a2, now) : 0;
}

}  // namespace nopte::guest
