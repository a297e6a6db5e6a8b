// socket and what makes connections.
#include "guest-mm/kernel/net/socket_support.h"

namespace nopte::guest {

using namespace net;  // NOLINT(google-build-using-namespace): the calls are this folder's

namespace {

constexpr u32 kKnownFlags = files::kOpenCloseOnExec | files::kOpenNonBlock;

files::CloseOnExec close_on_exec(u32 flags) {
  return flags & files::kOpenCloseOnExec ? files::CloseOnExec::kYes : files::CloseOnExec::kNo;
}

// A new descriptor on the socket, which is closed if there is none.
i64 insert(const Ref<Socket>& socket, u32 flags) {
  Ref<files::File> file = make_socket_file(socket, flags & files::kOpenNonBlock);
  return file ? files::current_files().table.insert(std::move(file), close_on_exec(flags)) : -kENFILE;
}

// 0 with the type, or a negative errno.
i64 check_kind(u64 family, u64 type_and_flags, u64 protocol, Type& type) {
  const auto number = static_cast<u32>(type_and_flags) & kTypeMask;
  if ((static_cast<u32>(type_and_flags) & ~(kKnownFlags | kTypeMask)) != 0) {
    return -kEINVAL;
  }
  if (static_cast<u32>(family) >= static_cast<u32>(kFamilies)) {
    return -kEAFNOSUPPORT;
  }
  if (number >= kTypes) {
    return -kEINVAL;
  }
  if (static_cast<u32>(family) != kFamilyUnix) {
    return -kEAFNOSUPPORT;
  }
  if (static_cast<u32>(protocol) != 0 && static_cast<u32>(protocol) != kFamilyUnix) {
    return -kEPROTONOSUPPORT;
  }
  switch (static_cast<Type>(number)) {
    case Type::kStream:
    case Type::kDatagram:
    case Type::kSequential:
      type = static_cast<Type>(number);
      return 0;
    case Type::kRaw:
      type = Type::kDatagram;
      return 0;
    default:
      return -kESOCKTNOSUPPORT;
  }
}

i64 accept(u64 descriptor, u64 address, u64 bytes_address, u32 flags) {
  if ((flags & ~kKnownFlags) != 0) {
    return -kEINVAL;
  }
  const SocketOf listener(descriptor);
  if (listener.error != 0) {
    return listener.error;
  }
  const files::ErrnoOr<Ref<Socket>> socket = listener.socket->accept(listener.flags());
  if (!socket) {
    return files::negated(socket.error());
  }
  const Ref<Name> name = (*socket)->peer ? (*socket)->peer->name : nullptr;
  const i64 made = insert(*socket, flags);
  if (made >= 0 && address != 0) {
    if (const i64 error = store_address(name.get(), address, bytes_address); error != 0) {
      static_cast<void>(files::current_files().table.close(static_cast<u64>(made)));
      return error;
    }
  }
  return made;
}

}  // namespace

i64 sys_socket(const SyscallArgs& args) {
  Type type{};
  if (const i64 error = check_kind(args.a0, args.a1, args.a2, type); error != 0) {
    return error;
  }
  Ref<Socket> socket = files::make_counted<Socket>(type);
  return socket ? insert(socket, static_cast<u32>(args.a1)) : -kENFILE;
}

i64 sys_socketpair(const SyscallArgs& args) {
  Type type{};
  if (const i64 error = check_kind(args.a0, args.a1, args.a2, type); error != 0) {
    return error;
  }
  const Ref<Socket> a = files::make_counted<Socket>(type);
  const Ref<Socket> b = files::make_counted<Socket>(type);
  if (!a || !b) {
    return -kENFILE;
  }
  Socket::join(*a, *b);
  const auto flags = static_cast<u32>(args.a1);
  const i64 first = insert(a, flags);
  const i64 second = first < 0 ? first : insert(b, flags);
  const i32 both[2] = {static_cast<i32>(first), static_cast<i32>(second)};
  const i64 error = second < 0 ? second : files::put_user(args.a3, both);
  if (error != 0) {
    for (const i64 made : {first, second}) {
      if (made >= 0) {
        static_cast<void>(files::current_files().table.close(static_cast<u64>(made)));
      }
    }
    a->close();
    b->close();
  }
  return error;
}

i64 sys_bind(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  SocketAddress address;
  if (of.error != 0) {
    return of.error;
  }
  const i64 error = load_address(address, args.a1, args.a2);
  return error != 0 ? error : of.socket->bind(address, static_cast<u32>(args.a2));
}

i64 sys_listen(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  return of.error != 0 ? of.error : of.socket->listen(static_cast<u32>(args.a1));
}

i64 sys_connect(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  SocketAddress address;
  if (of.error != 0) {
    return of.error;
  }
  const i64 error = load_address(address, args.a1, args.a2);
  return error != 0 ? error : of.socket->connect(address, static_cast<u32>(args.a2), of.flags());
}

i64 sys_accept(const SyscallArgs& args) { return accept(args.a0, args.a1, args.a2, 0); }
i64 sys_accept4(const SyscallArgs& args) {
  return accept(args.a0, args.a1, args.a2, static_cast<u32>(args.a3));
}

i64 sys_getsockname(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  return of.error != 0 ? of.error : store_address(of.socket->name.get(), args.a1, args.a2);
}

i64 sys_getpeername(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  return of.socket->peer ? store_address(of.socket->peer->name.get(), args.a1, args.a2) : -kENOTCONN;
}

i64 sys_shutdown(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  return of.error != 0 ? of.error : of.socket->shut_down(static_cast<u32>(args.a1));
}

i64 sys_setsockopt(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  if (static_cast<i32>(args.a4) < 0) {
    return -kEINVAL;
  }
  return static_cast<i32>(args.a1) == kLevelSocket
             ? of.socket->set_option(static_cast<u32>(args.a2), args.a3, static_cast<i32>(args.a4))
             : -kEOPNOTSUPP;
}

i64 sys_getsockopt(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  return static_cast<i32>(args.a1) == kLevelSocket
             ? of.socket->get_option(static_cast<u32>(args.a2), args.a3, args.a4)
             : -kEOPNOTSUPP;
}

}  // namespace nopte::guest
