// Names of AF_UNIX sockets, and who finds whom by them.
#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <cstring>

#include "guest-mm/core/made_at_first_use.h"
#include "guest-mm/kernel/files/names/path_walk.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/net/unix_socket.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

namespace {

// As unix_validate_addr(): 0 or -EINVAL.
i64 check_address(const SocketAddress& address, u64 bytes) {
  const bool fits = bytes > kFamilyBytes && bytes <= kFamilyBytes + kPathBytes;
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
    name->address.family = kFamilyUnix;
    std::memcpy(name->address.text, text.data(), text.size());
    name->bytes = kFamilyBytes + text.size() + (abstract(text) ? 0 : 1);
  }
  return name;
}

struct ByKey {
  using type = UnixSocket::Key;
  UnixSocket::Key operator()(const UnixSocket& socket) const { return socket.key(); }
};
using Names = boost::intrusive::set<UnixSocket, boost::intrusive::key_of_value<ByKey>>;

constinit MadeAtFirstUse<Names> g_names;

UnixSocket* find_named(const UnixSocket::Key& key) {
  const auto found = g_names().find(key);
  return found != g_names().end() ? &*found : nullptr;
}

}  // namespace

UnixSocket::Key UnixSocket::key() const {
  if (name_inode_) {
    return {.inode = name_inode_.get(), .type = Type::kStream, .text = {}};
  }
  return {.inode = nullptr, .type = type, .text = {name->address.text, name->bytes - kFamilyBytes}};
}

void UnixSocket::for_each_named(FunctionRef<void(const UnixSocket&)> visit) {
  for (const UnixSocket& socket : g_names()) visit(socket);
}

void UnixSocket::enter_names() { g_names().insert(*this); }

void UnixSocket::leave_names() {
  if (is_linked()) {
    g_names().erase(g_names().iterator_to(*this));
  }
  name_inode_ = nullptr;
}

i64 UnixSocket::bind_without_address() {
  static u32 next = 0;
  constexpr u32 kNumbers = 1 << 20;
  for (u32 tries = 0; tries < kNumbers; ++tries) {
    char text[6] = {};
    const u32 serial = next++ % kNumbers;
    for (u32 digit = 0; digit < 5; ++digit) {
      text[1 + digit] = "0123456789abcdef"[serial >> (16 - 4 * digit) & 0xf];
    }
    if (const i64 error = bind_abstract({text, sizeof text}); error != -kEADDRINUSE) {
      return error;
    }
  }
  return -kENOSPC;
}

// Who wants to show its credentials gets a name, too.
i64 UnixSocket::bind_for_credentials() {
  return options.pass_credentials && !name ? bind_without_address() : 0;
}

i64 UnixSocket::bind(const SocketAddress& address, u64 bytes) {
  if (bytes == kFamilyBytes && address.family == kFamilyUnix) {
    return name ? 0 : bind_without_address();
  }
  if (const i64 error = check_address(address, bytes); error != 0) {
    return error;
  }
  const std::string_view text = text_of(address, bytes);
  return abstract(text) ? bind_abstract(text) : bind_path(text);
}

i64 UnixSocket::bind_abstract(std::string_view text) {
  if (name) {
    return -kEINVAL;
  }
  if (find_named({.inode = nullptr, .type = type, .text = text}) != nullptr) {
    return -kEADDRINUSE;
  }
  name = make_name(text);
  if (!name) {
    return -kENOMEM;
  }
  enter_names();
  return 0;
}

i64 UnixSocket::bind_path(std::string_view text) {
  files::ProcessFiles& view = files::current_directories();
  files::PathTarget target;
  if (const i64 error = walk_path(view, text, files::FinalLink::kName, nullptr, target); error != 0) {
    return error;
  }
  if (target.inode) {
    return -kEADDRINUSE;
  }
  if (target.last != files::PathTarget::Last::kName || target.trailing_slash) {
    return -kENOENT;
  }
  if (const i64 error = files::may_create(*target.directory); error != 0) {
    return error;
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
      directory.create(files::kModeSocket | (mode & files::kModePermMask & ~view.umask), 0, {});
  if (!inode) {
    return -static_cast<i64>(inode.error());
  }
  files::give_owner(**inode, &directory);
  if (const i64 error = directory.link(target.name(), *inode); error != 0) {
    return error;
  }
  name = std::move(made);
  name_inode_ = *inode;
  enter_names();
  return 0;
}

files::ErrnoOr<Ref<UnixSocket>> UnixSocket::find(Type type, const SocketAddress& address, u64 bytes) {
  if (check_address(address, bytes) != 0) {
    return files::ErrnoFail(kEINVAL);
  }
  const std::string_view text = text_of(address, bytes);
  if (abstract(text)) {
    UnixSocket* const found = find_named({.inode = nullptr, .type = type, .text = text});
    return found != nullptr ? files::ErrnoOr<Ref<UnixSocket>>(Ref<UnixSocket>(found))
                            : files::ErrnoFail(kECONNREFUSED);
  }
  const files::ErrnoOr<Ref<files::Inode>> inode = files::lookup(files::current_directories(), text);
  if (!inode) {
    return files::ErrnoFail(inode.error());
  }
  if (files::permission(**inode, files::kMayWrite) != 0) {
    return files::ErrnoFail(kEACCES);
  }
  UnixSocket* const found = find_named({.inode = inode->get(), .type = Type::kStream, .text = {}});
  if (found == nullptr || found->type != type) {
    return files::ErrnoFail(found == nullptr ? kECONNREFUSED : kEPROTOTYPE);
  }
  return Ref<UnixSocket>(found);
}

i64 UnixSocket::listen(u32 backlog) {
  if (datagrams()) {
    return -kEOPNOTSUPP;
  }
  if (!name || state_ == State::kConnected) {
    return -kEINVAL;
  }
  backlog_ = std::min(backlog, kMostPending);
  state_ = State::kListening;
  peer_credentials_ = own_credentials();  // what who connects is told
  wake(queue);
  return 0;
}

i64 UnixSocket::connect_datagrams(const SocketAddress& address, u64 bytes) {
  if (address.family == kFamilyUnspecified) {
    change_peer(nullptr);
    state_ = State::kUnconnected;
    return 0;
  }
  if (const i64 error = check_address(address, bytes); error != 0) {
    return error;
  }
  if (const i64 error = bind_for_credentials(); error != 0) {
    return error;
  }
  files::ErrnoOr<Ref<UnixSocket>> other = find(type, address, bytes);
  if (!other) {
    return -static_cast<i64>(other.error());
  }
  if ((*other)->peer && (*other)->peer.get() != this) {
    return -kEPERM;
  }
  change_peer(std::move(*other));
  state_ = State::kConnected;
  return 0;
}

i64 UnixSocket::connect(const SocketAddress& address, u64 bytes, u32 flags) {
  if (bytes < kFamilyBytes) {
    return -kEINVAL;
  }
  if (datagrams()) {
    return connect_datagrams(address, bytes);
  }
  if (const i64 error = check_address(address, bytes); error != 0) {
    return error;
  }
  if (const i64 error = bind_for_credentials(); error != 0) {
    return error;
  }
  const u64 deadline = send_deadline();
  for (;;) {
    const files::ErrnoOr<Ref<UnixSocket>> found = find(type, address, bytes);
    if (!found) {
      return -static_cast<i64>(found.error());
    }
    UnixSocket& listener = **found;
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
    const Ref<UnixSocket> end = files::make_counted<UnixSocket>(type);
    if (!end) {
      return -kENOMEM;
    }
    join(*this, *end);
    end->name = listener.name;
    end->options = listener.options;
    end->options.peek_offset = -1;
    peer_credentials_ = listener.peer_credentials_;
    listener.append_pending(end);
    return 0;
  }
}

}  // namespace nopte::guest::net
