// io_setup, io_submit, io_getevents, io_pgetevents, io_cancel, io_destroy (fs/aio.c of Linux 6.12).
//
// A context's page holds no magic number, so that libaio asks by calls instead of looking for events there.
#include "guest-mm/kernel/files/anonymous_inode.h"
#include "guest-mm/kernel/files/events/aio.h"
#include "guest-mm/kernel/files/events/timed_wait.h"
#include "guest-mm/kernel/files/io_vectors.h"
#include "guest-mm/kernel/memory/memory_lock_limit.h"
#include "guest-mm/kernel/memory/memory_range.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

using namespace files;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

// struct iocb
struct Request {
  u64 data;
  u32 key;
  u32 flags;
  u16 operation;
  i16 priority;
  u32 descriptor;
  u64 buffer;
  u64 bytes;
  u64 offset;
  u64 reserved;
  u32 own_flags;
  u32 counter;
};
static_assert(sizeof(Request) == 64);

// struct aio_ring: where a context's page begins.
struct Ring {
  u32 id;
  u32 events;
  u32 head, tail;
  u32 magic;
  u32 features, unknown_features;
  u32 header_bytes;
};
static_assert(sizeof(Ring) == 32);

enum Operation : u16 {
  kRead = 0,
  kWrite = 1,
  kSync = 2,
  kDataSync = 3,
  kPoll = 5,
  kReadParts = 7,
  kWriteParts = 8
};
constexpr u32 kTellsCounter = 1;  // IOCB_FLAG_RESFD

Ref<AioContext> context_of(u64 id) {
  Ref<AioContext> context(current_process().aio_contexts);
  while (context && context->id != id) {
    context = context->next;
  }
  return context;
}

// It is the running process's.
void remove(AioContext& context) {
  Process& process = current_process();
  Ref<AioContext> after = std::exchange(context.next, nullptr);
  if (process.aio_contexts == &context) {
    process.aio_contexts = after.detach();
    context.release();
  } else {
    AioContext* before = process.aio_contexts;
    while (before->next.get() != &context) {
      before = before->next.get();
    }
    before->next = std::move(after);
  }
  context.close();
}

// A page of the program's whose address is the context's name.
i64 map_ring(u32 requests) {
  if ((space().future_locks() & kVmaLocked) != 0 && !may_lock_more(1)) {
    return -kENOMEM;  // as of every page that it cannot have
  }
  auto object = MemoryObject::create(kPageBytes);
  if (!object) {
    return to_errno(object.error());
  }
  (*object)->set_name("/[aio] (deleted)");
  const auto address = space().map({.bytes = kPageBytes,
                                    .perm = Perm(Perm::kRead | Perm::kWrite),
                                    .sharing = Sharing::kShared,
                                    .object = std::move(*object)});
  if (!address) {
    return to_errno(address.error());
  }
  const Ring ring{.id = 0,
                  .events = requests,
                  .head = 0,
                  .tail = 0,
                  .magic = 0,
                  .features = 1,
                  .unknown_features = 0,
                  .header_bytes = sizeof ring};
  return put_user(address->value(), ring) != 0 ? -kENOMEM : static_cast<i64>(address->value());
}

// A transfer, as the calls for it do it.
i64 transfer(const Request& request, File& file, UserRegisters& registers) {
  const SyscallArgs args{request.descriptor, request.buffer, request.bytes, request.offset, 0, 0, registers};
  switch (request.operation) {
    case kRead:
      return file.seekable() ? sys_pread64(args) : sys_read(args);
    case kWrite:
      return file.seekable() ? sys_pwrite64(args) : sys_write(args);
    case kReadParts:
      return file.seekable() ? sys_preadv(args) : sys_readv(args);
    default:
      return file.seekable() ? sys_pwritev(args) : sys_writev(args);
  }
}

// What is refused at once.
i64 check(const Request& request, const File& file, const SyscallArgs& args) {
  const bool reads = request.operation == kRead || request.operation == kReadParts;
  switch (request.operation) {
    case kRead:
    case kReadParts:
    case kWrite:
    case kWriteParts:
      if (request.flags != 0) {
        return -kEOPNOTSUPP;
      }
      if (!(reads ? file.readable() : file.writable())) {
        return -kEBADF;
      }
      return file.inode() == nullptr || file.inode()->is_directory() || static_cast<i64>(request.offset) < 0
                 ? -kEINVAL
                 : 0;
    case kSync:
    case kDataSync:
      return request.offset != 0 || request.bytes != 0 || request.flags != 0 || request.buffer != 0 ? -kEINVAL
                                                                                                    : 0;
    case kPoll:
      return not_built(args, "IOCB_CMD_POLL", -kEINVAL);
    default:
      return -kEINVAL;
  }
}

i64 submit_checked(AioContext& context, const Request& request, u64 address, const SyscallArgs& args) {
  const Ref<File> file(file_of(request.descriptor));
  if (!file || file->path_only()) {
    return -kEBADF;
  }
  Ref<File> counter;
  if ((request.own_flags & kTellsCounter) != 0) {
    counter = Ref<File>(file_of(request.counter));
    if (!counter || counter->path_only()) {
      return -kEBADF;
    }
    const AnonymousInode* const inode =
        counter->inode() != nullptr ? counter->inode()->as_anonymous() : nullptr;
    if (inode == nullptr || inode->kind() != AnonymousKind::kEventFd) {
      return -kEINVAL;
    }
  }
  if (put_user(address + offsetof(Request, key), u32{0}) != 0) {
    return -kEFAULT;
  }
  if (const i64 error = check(request, *file, args); error != 0) {
    return error;
  }
  AioEvent event{.data = request.data, .request = address, .result = 0, .second = 0};
  if (request.operation == kSync || request.operation == kDataSync) {
    event.result = sys_fsync({request.descriptor, 0, 0, 0, 0, 0, args.registers});
    if (event.result == -kEINVAL) {
      return -kEINVAL;  // cannot be kept anywhere
    }
  } else {
    event.result = transfer(request, *file, args.registers);
    if (event.result == -kERESTARTSYS) {
      event.result = -kEINTR;
    }
  }
  context.complete(event, counter.get());
  return 0;
}

i64 submit_one(AioContext& context, u64 address, const SyscallArgs& args) {
  Request request;
  if (const i64 error = get_user(request, address); error != 0) {
    return error;
  }
  if (request.reserved != 0 || static_cast<i64>(request.bytes) < 0) {
    return -kEINVAL;
  }
  if (!context.reserve()) {
    return -kEAGAIN;
  }
  const i64 error = submit_checked(context, request, address, args);
  if (error != 0) {
    context.give_back();
  }
  return error;
}

i64 get_events(u64 id, u64 least, u64 most, u64 address, u64 deadline_ns) {
  const Ref<AioContext> context = context_of(id);
  if (!context || static_cast<i64>(least) < 0 || static_cast<i64>(most) < static_cast<i64>(least)) {
    return -kEINVAL;
  }
  u64 done = 0;
  for (;;) {
    for (const AioEvent* event = nullptr; done < most && (event = context->first_event()) != nullptr;
         ++done) {
      if (put_user(address + done * sizeof *event, *event) != 0) {
        return done != 0 ? static_cast<i64>(done) : -kEFAULT;
      }
      context->take_event();
    }
    if (done >= least || context->closed()) {
      return static_cast<i64>(done);
    }
    switch (block_on(context->queue, deadline_ns)) {
      case WakeReason::kSignal:
        return done != 0 ? static_cast<i64>(done) : -kEINTR;
      case WakeReason::kTimeout:
        return static_cast<i64>(done);
      default:
        break;
    }
  }
}

}  // namespace

i64 sys_io_setup(const SyscallArgs& args) {
  u64 before = 0;
  if (const i64 error = get_user(before, args.a1); error != 0) {
    return error;
  }
  constexpr u32 kMostEver = 0x1000'0000;
  const auto asked = static_cast<u32>(args.a0);
  if (before != 0 || asked == 0 || asked > kMostEver) {
    return -kEINVAL;
  }
  if (asked > g_aio.most || g_aio.requests + asked > g_aio.most) {
    return -kEAGAIN;
  }
  const i64 address = map_ring(asked);
  if (address < 0) {
    return address;
  }
  const auto id = static_cast<u64>(address);
  Ref<AioContext> made = AioContext::make(asked, id);
  const i64 error = made ? put_user(args.a1, id) : -kENOMEM;
  if (error != 0) {
    static_cast<void>(sys_munmap({id, kPageBytes, 0, 0, 0, 0, args.registers}));
    return error;
  }
  g_aio.requests += asked;
  Process& process = current_process();
  made->next = Ref<AioContext>::adopt(process.aio_contexts);
  process.aio_contexts = made.detach();
  return 0;
}

i64 sys_io_destroy(const SyscallArgs& args) {
  const Ref<AioContext> context = context_of(args.a0);
  if (!context) {
    return -kEINVAL;
  }
  remove(*context);
  static_cast<void>(sys_munmap({args.a0, kPageBytes, 0, 0, 0, 0, args.registers}));
  return 0;
}

i64 sys_io_submit(const SyscallArgs& args) {
  const Ref<AioContext> context = context_of(args.a0);
  if (static_cast<i64>(args.a1) < 0 || !context) {
    return -kEINVAL;
  }
  const u64 count = std::min<u64>(args.a1, context->requests);
  for (u64 i = 0; i < count; ++i) {
    u64 address = 0;
    i64 error = get_user(address, args.a2 + i * sizeof address);
    if (error == 0) {
      error = submit_one(*context, address, args);
    }
    if (error != 0) {
      return i != 0 ? static_cast<i64>(i) : error;
    }
    give_way();
    if (kill_pending()) {
      return static_cast<i64>(i + 1);
    }
  }
  return static_cast<i64>(count);
}

i64 sys_io_getevents(const SyscallArgs& args) {
  u64 deadline_ns = kNoDeadline;
  if (const i64 error = load_deadline(args.a4, deadline_ns); error != 0) {
    return error;
  }
  return get_events(args.a0, args.a1, args.a2, args.a3, deadline_ns);
}

i64 sys_io_pgetevents(const SyscallArgs& args) {
  struct {
    u64 mask, bytes;
  } signals{};
  u64 deadline_ns = kNoDeadline;
  if (const i64 error = load_deadline(args.a4, deadline_ns); error != 0) {
    return error;
  }
  if (args.a5 != 0) {
    if (const i64 error = get_user(signals, args.a5); error != 0) {
      return error;
    }
  }
  TemporarySignalMask mask;
  if (const i64 error = mask.begin(signals.mask, signals.bytes); error != 0) {
    return error;
  }
  return mask.finish(get_events(args.a0, args.a1, args.a2, args.a3, deadline_ns));
}

i64 sys_io_cancel(const SyscallArgs& args) {
  u32 key = 0;
  if (const i64 error = get_user(key, args.a1 + offsetof(Request, key)); error != 0) {
    return error;
  }
  return -kEINVAL;  // what was submitted has ended
}

}  // namespace nopte::guest
