// Names of sockets, and who finds whom by them.
#include <cstring>

#include "guest-mm/kernel/files/path_walk.h"
#include "guest-mm/kernel/net/socket.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/scheduler.h"
#include "pvops/platform_ops.h"

namespace nopte::guest::net {

namespace {

constexpr u64 kFamilyBytes = 2;

// As unix_validate_addr(): 0 or -EINVAL.
i64 check_address(const SocketAddress& address, u64 bytes) {
  const bool fits = bytes > kFamilyBytes && bytes <= kFamilyBytes + kNameBytes;
  return fits && address.family == kFamilyUnix ? 0 : -kEINVAL;
}

// What a name's bytes are: up to the first 0 for a path, all for an abstract one.
std::string_view text_of(const SocketAddress& address, u64 bytes) {
  const std::string_view all(address.text, bytes - kFamilyBytes);
  return all[0] == 0 ? all : all.substr(0, all.find('\0'));
}

bool abstract(std::string_view text) { return text[0] == 0; }

Ref<Name> make_name(std::string_view text) {
  Ref<Name> name = files::make_counted<Name>();
  if (name) {
    std::memcpy(name->text, text.data(), text.size());
    name->text[text.size()] = 0;
    name->bytes = text.size() + (abstract(text) ? 0 : 1);
  }
  return name;
}

bool same(const Name& name, std::string_view text) {
  return name.bytes == text.size() && std::memcmp(name.text, text.data(), text.size()) == 0;
}

}  // namespace

Socket* Socket::g_named = nullptr;

void Socket::enter_names() {
  next_named_ = g_named;
  g_named = this;
}

void Socket::leave_names() {
  for (Socket** at = &g_named; *at != nullptr; at = &(*at)->next_named_) {
    if (*at == this) {
      *at = next_named_;
      break;
    }
  }
  name_inode_ = nullptr;
}

i64 Socket::bind_without_address() {
  static u32 next = 0;
  constexpr u32 kNumbers = 1 << 20;
  for (u32 tries = 0; tries < kNumbers; ++tries) {
    SocketAddress address;
    const u32 serial = next++ % kNumbers;
    address.text[0] = 0;
    for (u32 digit = 0; digit < 5; ++digit) {
      address.text[1 + digit] = "0123456789abcdef"[serial >> (16 - 4 * digit) & 0xf];
    }
    if (const i64 error = bind(address, kFamilyBytes + 6); error != -kEADDRINUSE) {
      return error;
    }
  }
  return -kENOSPC;
}

i64 Socket::bind(const SocketAddress& address, u64 bytes) {
  if (bytes == kFamilyBytes && address.family == kFamilyUnix) {
    return name ? 0 : bind_without_address();
  }
  if (const i64 error = check_address(address, bytes); error != 0) {
    return error;
  }
  const std::string_view text = text_of(address, bytes);
  if (abstract(text)) {
    if (name) {
      return -kEINVAL;
    }
    for (const Socket* other = g_named; other != nullptr; other = other->next_named_) {
      if (other->type == type && same(*other->name, text)) {
        return -kEADDRINUSE;
      }
    }
    name = make_name(text);
    if (!name) {
      return -kENOMEM;
    }
    enter_names();
    return 0;
  }
  files::ProcessFiles& view = files::current_directories();
  files::PathTarget target;
  if (const i64 error = walk_path(view, text, files::FinalLink::kStay, nullptr, target); error != 0) {
    return error;
  }
  if (target.inode) {
    return -kEADDRINUSE;
  }
  if (target.last != files::PathTarget::Last::kName || target.trailing_slash) {
    return -kENOENT;
  }
  if (name) {
    return -kEINVAL;
  }
  Ref<Name> made = make_name(text);
  if (!made) {
    return -kENOMEM;
  }
  files::Directory& directory = *target.directory->as_directory();
  const files::ErrnoOr<Ref<files::Inode>> inode =
      directory.create(files::kModeSocket | (0777 & ~view.umask), 0, {});
  if (!inode) {
    return -static_cast<i64>(inode.error());
  }
  if (const i64 error = directory.link(target.name(), *inode); error != 0) {
    return error;
  }
  name = std::move(made);
  name_inode_ = *inode;
  enter_names();
  return 0;
}

files::ErrnoOr<Ref<Socket>> Socket::find(const SocketAddress& address, u64 bytes) {
  if (check_address(address, bytes) != 0) {
    return files::ErrnoFail(kEINVAL);
  }
  const std::string_view text = text_of(address, bytes);
  if (abstract(text)) {
    for (Socket* other = g_named; other != nullptr; other = other->next_named_) {
      if (other->type == type && !other->name_inode_ && same(*other->name, text)) {
        return Ref<Socket>(other);
      }
    }
    return files::ErrnoFail(kECONNREFUSED);
  }
  const files::ErrnoOr<Ref<files::Inode>> inode = files::lookup(files::current_directories(), text);
  if (!inode) {
    return files::ErrnoFail(inode.error());
  }
  for (Socket* other = g_named; other != nullptr; other = other->next_named_) {
    if (other->name_inode_ == *inode) {
      return other->type == type ? files::ErrnoOr<Ref<Socket>>(Ref<Socket>(other))
                                 : files::ErrnoOr<Ref<Socket>>(files::ErrnoFail(kEPROTOTYPE));
    }
  }
  return files::ErrnoFail(kECONNREFUSED);
}

i64 Socket::listen(u32 backlog) {
  constexpr u32 kMostPending = 4096;  // net.core.somaxconn
  if (datagrams()) {
    return -kEOPNOTSUPP;
  }
  if (!name || state_ == State::kConnected) {
    return -kEINVAL;
  }
  backlog_ = std::min(backlog, kMostPending);
  state_ = State::kListening;
  own_ = own_credentials();
  wake(queue);
  return 0;
}

i64 Socket::connect_datagrams(const SocketAddress& address, u64 bytes) {
  if (address.family == kFamilyUnspecified) {
    set_peer(nullptr);
    state_ = State::kUnconnected;
    return 0;
  }
  files::ErrnoOr<Ref<Socket>> other = find(address, bytes);
  if (!other) {
    return -static_cast<i64>(other.error());
  }
  if ((*other)->peer && (*other)->peer.get() != this) {
    return -kEPERM;
  }
  set_peer(std::move(*other));
  state_ = State::kConnected;
  return 0;
}

i64 Socket::connect(const SocketAddress& address, u64 bytes, u32 flags) {
  if (bytes < kFamilyBytes) {
    return -kEINVAL;
  }
  if (datagrams()) {
    return connect_datagrams(address, bytes);
  }
  const u64 deadline =
      send_timeout_us_ == 0 ? kNoDeadline : platform_ops().now_ns() + send_timeout_us_ * 1000;
  for (;;) {
    const files::ErrnoOr<Ref<Socket>> found = find(address, bytes);
    if (!found) {
      return -static_cast<i64>(found.error());
    }
    Socket& listener = **found;
    if (listener.state_ != State::kListening || listener.shut_ & kNoReceive) {
      return -kECONNREFUSED;
    }
    if (listener.pending_ > listener.backlog_) {
      if (const i64 error = wait(listener.queue, flags, deadline); error != 0) {
        return error;
      }
      continue;
    }
    if (state_ != State::kUnconnected) {
      return state_ == State::kConnected ? -kEISCONN : -kEINVAL;
    }
    const Ref<Socket> end = files::make_counted<Socket>(type);
    if (!end) {
      return -kENOMEM;
    }
    join(*this, *end);
    end->name = listener.name;
    end->pass_credentials = listener.pass_credentials;
    peer_credentials_ = listener.own_;
    Ref<Socket>* last = &listener.first_pending_;
    while (*last) {
      last = &(*last)->next_pending_;
    }
    *last = end;
    ++listener.pending_;
    wake(listener.queue);
    return 0;
  }
}

files::ErrnoOr<Ref<Socket>> Socket::accept(u32 flags) {
  if (datagrams()) {
    return files::ErrnoFail(kEOPNOTSUPP);
  }
  if (state_ != State::kListening) {
    return files::ErrnoFail(kEINVAL);
  }
  const u64 deadline =
      receive_timeout_us_ == 0 ? kNoDeadline : platform_ops().now_ns() + receive_timeout_us_ * 1000;
  while (!first_pending_) {
    if (shut_ & kNoReceive) {
      return files::ErrnoFail(kEINVAL);
    }
    if (const i64 error = wait(queue, flags, deadline); error != 0) {
      return files::ErrnoFail(static_cast<Errno>(-error));
    }
  }
  Ref<Socket> one = first_pending_;
  first_pending_ = one->next_pending_;
  one->next_pending_ = nullptr;
  if (pending_-- > backlog_) {
    wake(queue);
  }
  return one;
}

}  // namespace nopte::guest::net
