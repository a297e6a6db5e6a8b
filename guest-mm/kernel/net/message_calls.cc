// sendto, recvfrom, sendmsg, recvmsg and the calls for many messages.
#include "guest-mm/kernel/files/wall_clock.h"
#include "guest-mm/kernel/net/socket_support.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

using namespace net;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u32 kMostMessages = 1024;  // UIO_MAXIOV
constexpr u64 kMostBytes = 0x7fff'f000;

i64 load_header(MessageHeader& header, u64 address) {
  if (const i64 error = files::get_user(header, address); error != 0) {
    return error;
  }
  if (header.name == 0) {
    header.name_bytes = 0;
  }
  return static_cast<i32>(header.name_bytes) < 0 ? -kEINVAL : 0;
}

i64 send_message(const SocketOf& of, u64 address, u32 flags) {
  MessageHeader header{};
  if (const i64 error = load_header(header, address); error != 0) {
    return error;
  }
  SocketAddress to;
  const u64 to_bytes = std::min<u64>(header.name_bytes, sizeof to);
  if (const i64 error = load_address(to, header.name, to_bytes); error != 0) {
    return error;
  }
  IoCursor data;
  if (const i64 error = data.load(header.vectors, header.vector_count); error != 0) {
    return error;
  }
  Sending message{.data = data, .flags = flags | of.flags(), .to = &to, .to_bytes = to_bytes};
  if (const i64 error = load_control(*of.socket, header.control, header.control_bytes, message); error != 0) {
    return error;
  }
  return of.socket->send(message);
}

i64 store_sender(const Receiving& message, u64 address, u64 bytes_address) {
  return message.from ? store_address(message.from->address, message.from->bytes, address, bytes_address)
                      : store_address({}, 0, address, bytes_address);
}

i64 receive_message(const SocketOf& of, u64 address, u32 flags) {
  MessageHeader header{};
  if (const i64 error = load_header(header, address); error != 0) {
    return error;
  }
  IoCursor data;
  if (const i64 error = data.load(header.vectors, header.vector_count); error != 0) {
    return error;
  }
  Receiving message{.data = data, .flags = flags | of.flags()};
  const i64 done = of.socket->receive(message);
  if (done < 0) {
    return done;
  }
  const u64 control_before = header.control;
  message.flags_out |= flags & kMessageCloseOnExec;
  of.socket->tell(header, message);
  store_control(header, flags, of.socket->options.pass_credentials, message);
  if (header.name != 0) {
    const i64 error = store_sender(message, header.name, address + offsetof(MessageHeader, name_bytes));
    if (error != 0) {
      return error;
    }
  }
  const u64 control_bytes = header.control - control_before;
  if (files::put_user(address + offsetof(MessageHeader, flags), message.flags_out) != 0 ||
      files::put_user(address + offsetof(MessageHeader, control_bytes), control_bytes) != 0) {
    return -kEFAULT;
  }
  return done;
}

}  // namespace

i64 sys_sendto(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  SocketAddress to;
  const u64 to_bytes = args.a4 != 0 ? static_cast<u32>(args.a5) : 0;
  if (const i64 error = load_address(to, args.a4, to_bytes); error != 0) {
    return error;
  }
  IoCursor data(files::IoBuffer::user(args.a1), std::min(args.a2, kMostBytes));
  Sending message{
      .data = data, .flags = static_cast<u32>(args.a3) | of.flags(), .to = &to, .to_bytes = to_bytes};
  return of.socket->send(message);
}

i64 sys_recvfrom(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  IoCursor data(files::IoBuffer::user(args.a1), std::min(args.a2, kMostBytes));
  Receiving message{.data = data, .flags = static_cast<u32>(args.a3) | of.flags()};
  const i64 done = of.socket->receive(message);
  if (done < 0 || args.a4 == 0) {
    return done;
  }
  const i64 error = store_sender(message, args.a4, args.a5);
  return error != 0 ? error : done;
}

i64 sys_sendmsg(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  return of.error != 0 ? of.error : send_message(of, args.a1, static_cast<u32>(args.a2));
}

i64 sys_recvmsg(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  return of.error != 0 ? of.error : receive_message(of, args.a1, static_cast<u32>(args.a2));
}

i64 sys_sendmmsg(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  const u32 count = std::min(static_cast<u32>(args.a2), kMostMessages);
  u32 done = 0;
  for (; done < count; ++done) {
    const u64 place = args.a1 + done * sizeof(ManyHeader);
    i64 sent = send_message(of, place, static_cast<u32>(args.a3));
    if (sent >= 0) {
      const i64 error = files::put_user(place + offsetof(ManyHeader, bytes), static_cast<u32>(sent));
      sent = error;
    }
    if (sent < 0) {
      return done != 0 ? done : sent;
    }
  }
  return done;
}

// The time limit is looked at after each message, as on Linux, and ends no wait for one.
i64 sys_recvmmsg(const SyscallArgs& args) {
  u64 deadline_ns = ~u64{0};
  if (args.a4 != 0) {
    Timespec time;
    if (const i64 error = files::get_user(time, args.a4); error != 0) {
      return error;
    }
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000) {
      return -kEINVAL;
    }
    constexpr i64 kMostSeconds = 1'000'000'000;
    time.seconds = std::min(time.seconds, kMostSeconds);
    deadline_ns = platform_ops().now_ns() + files::from_timespec(time);
  }
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  const u32 count = std::min(static_cast<u32>(args.a2), kMostMessages);
  u32 flags = static_cast<u32>(args.a3) & ~kMessageWaitForOne;
  u32 done = 0;
  while (done < count) {
    const u64 place = args.a1 + done * sizeof(ManyHeader);
    i64 got = receive_message(of, place, flags);
    if (got >= 0) {
      got = files::put_user(place + offsetof(ManyHeader, bytes), static_cast<u32>(got));
    }
    if (got < 0) {
      return done != 0 ? done : got;
    }
    ++done;
    if (args.a3 & kMessageWaitForOne) {
      flags |= kMessageDontWait;
    }
    if (platform_ops().now_ns() >= deadline_ns) {
      break;
    }
  }
  return done;
}

}  // namespace nopte::guest
