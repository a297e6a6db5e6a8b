// socket and what makes connections.
#include "guest-mm/kernel/net/socket_support.h"
#include "guest-mm/kernel/net/unix_socket.h"

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

// Linux's order: first a descriptor, then a connection. One that nobody can take stays with the listener.
i64 accept(u64 descriptor, u64 address, u64 bytes_address, u32 flags) {
  if ((flags & ~kKnownFlags) != 0) {
    return -kEINVAL;
  }
  const SocketOf listener(descriptor);
  if (listener.error != 0) {
    return listener.error;
  }
  files::FileTable& table = files::current_files().table;
  if (!table.has_room()) {
    return -kEMFILE;
  }
  const files::ErrnoOr<Ref<Socket>> socket = listener.socket->accept(listener.flags());
  if (!socket) {
    return files::negated(socket.error());
  }
  if (!table.has_room()) {
    listener.socket->put_back(*socket);  // another thread took the last descriptor meanwhile
    return -kEMFILE;
  }
  SocketAddress from;
  const i64 bytes = (*socket)->peer_address(from);
  const i64 made = insert(*socket, flags);
  if (made >= 0 && address != 0) {
    const i64 error =
        bytes < 0 ? -kECONNABORTED : store_address(from, static_cast<u64>(bytes), address, bytes_address);
    if (error != 0) {
      static_cast<void>(table.close(static_cast<u64>(made)));
      return error;
    }
  }
  return made;
}

}  // namespace

i64 sys_socket(const SyscallArgs& args) {
  const auto type = static_cast<u32>(args.a1);
  if ((type & ~(kKnownFlags | kTypeMask)) != 0) {
    return -kEINVAL;
  }
  const files::ErrnoOr<Ref<Socket>> socket =
      make_socket(static_cast<i32>(args.a0), type & kTypeMask, static_cast<i32>(args.a2));
  return socket ? insert(*socket, type) : files::negated(socket.error());
}

i64 sys_socketpair(const SyscallArgs& args) {
  const auto type = static_cast<u32>(args.a1);
  if ((type & ~(kKnownFlags | kTypeMask)) != 0) {
    return -kEINVAL;
  }
  files::FileTable& table = files::current_files().table;
  if (!table.has_room(2)) {
    return -kEMFILE;
  }
  Ref<Socket> ends[2];
  for (Ref<Socket>& end : ends) {
    files::ErrnoOr<Ref<Socket>> made =
        make_socket(static_cast<i32>(args.a0), type & kTypeMask, static_cast<i32>(args.a2));
    if (!made) {
      return files::negated(made.error());
    }
    end = std::move(*made);
  }
  if (ends[0]->family != kFamilyUnix) {
    return -kEOPNOTSUPP;
  }
  UnixSocket::join(static_cast<UnixSocket&>(*ends[0]), static_cast<UnixSocket&>(*ends[1]));
  const i64 first = insert(ends[0], type);
  const i64 second = first < 0 ? first : insert(ends[1], type);
  const i32 both[2] = {static_cast<i32>(first), static_cast<i32>(second)};
  const i64 error = second < 0 ? second : files::put_user(args.a3, both);
  if (error != 0) {
    for (const i64 made : {first, second}) {
      if (made >= 0) {
        static_cast<void>(table.close(static_cast<u64>(made)));
      }
    }
    ends[0]->close();
    ends[1]->close();
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
  if (of.error != 0) {
    return of.error;
  }
  SocketAddress own;
  const i64 bytes = of.socket->own_address(own);
  return bytes < 0 ? bytes : store_address(own, static_cast<u64>(bytes), args.a1, args.a2);
}

i64 sys_getpeername(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  SocketAddress other;
  const i64 bytes = of.socket->peer_address(other);
  return bytes < 0 ? bytes : store_address(other, static_cast<u64>(bytes), args.a1, args.a2);
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
  return of.socket->set_option(static_cast<i32>(args.a1), static_cast<u32>(args.a2), args.a3,
                               static_cast<i32>(args.a4));
}

i64 sys_getsockopt(const SyscallArgs& args) {
  const SocketOf of(args.a0);
  if (of.error != 0) {
    return of.error;
  }
  return of.socket->get_option(static_cast<i32>(args.a1), static_cast<u32>(args.a2), args.a3, args.a4);
}

}  // namespace nopte::guest
