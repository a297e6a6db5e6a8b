#include "guest-mm/kernel/net/passed_files.h"

#include "guest-mm/kernel/net/socket.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"

namespace nopte::guest::net {

// A user with files on their way.
struct PassedFiles::Sender {
  u32 uid;
  u32 messages;
  u64 files;
  Sender* next;
};

namespace {

PassedFiles::Sender* g_senders = nullptr;
Socket* g_on_their_way = nullptr;
bool g_closing = false;

Socket* socket_of(const files::File& file) {
  return file.inode() != nullptr ? file.inode()->as_socket() : nullptr;
}

void depart(Socket& socket) {
  SocketFlight& flight = socket.flight;
  if (flight.times++ != 0) {
    return;
  }
  flight.next = g_on_their_way;
  flight.link = &g_on_their_way;
  if (g_on_their_way != nullptr) {
    g_on_their_way->flight.link = &flight.next;
  }
  g_on_their_way = &socket;
}

void arrive(Socket& socket) {
  SocketFlight& flight = socket.flight;
  if (--flight.times != 0) {
    return;
  }
  *flight.link = flight.next;
  if (flight.next != nullptr) {
    flight.next->flight.link = flight.link;
  }
}

template <class Visit>
void for_each_on_its_way(Visit visit) {
  for (Socket* socket = g_on_their_way; socket != nullptr; socket = socket->flight.next) {
    visit(*socket);
  }
}

template <class Visit>
void for_each_socket_in(const Socket& holder, Visit visit) {
  holder.for_each_record([&](const Record& record) {
    for (u32 i = 0; record.files && i < record.files->count(); ++i) {
      if (Socket* const socket = socket_of(*(*record.files)[i]); socket != nullptr) {
        visit(*socket);
      }
    }
  });
}

// A file with more references than lie in the queues of sockets on their way can be received, or is a
// descriptor; what lies in its queue can be, too.
Ref<Socket> find_lost() {
  for_each_on_its_way([](Socket& socket) {
    socket.flight.outside = socket.file->references();
    socket.flight.reached = false;
  });
  for_each_on_its_way([](const Socket& holder) {
    for_each_socket_in(holder, [](Socket& socket) { --socket.flight.outside; });
  });
  Socket* reached = nullptr;
  const auto reach = [&](Socket& socket) {
    if (!socket.flight.reached) {
      socket.flight.reached = true;
      socket.flight.next_reached = reached;
      reached = &socket;
    }
  };
  for_each_on_its_way([&](Socket& socket) {
    if (socket.flight.outside != 0) {
      reach(socket);
    }
  });
  while (reached != nullptr) {
    for_each_socket_in(*std::exchange(reached, reached->flight.next_reached), reach);
  }
  Ref<Socket> lost;
  for_each_on_its_way([&](Socket& socket) {
    if (!socket.flight.reached) {
      socket.flight.next_lost = std::move(lost);
      lost = Ref<Socket>(&socket);
    }
  });
  return lost;
}

}  // namespace

UniquePtr<PassedFiles> PassedFiles::make() {
  const u32 uid = identity().user.real;
  Sender* sender = g_senders;
  while (sender != nullptr && sender->uid != uid) {
    sender = sender->next;
  }
  if (sender == nullptr) {
    sender = guest::make<Sender>(uid, u32{0}, u64{0}, g_senders);
    if (sender == nullptr) {
      return nullptr;
    }
    g_senders = sender;
  }
  ++sender->messages;
  UniquePtr<PassedFiles> made = make_unique<PassedFiles>(*sender);
  if (!made) {
    --sender->messages;
  }
  return made;
}

PassedFiles::~PassedFiles() {
  for (u32 i = 0; i < count_; ++i) {
    if (Socket* const socket = socket_of(*files_[i]); socket != nullptr) {
      arrive(*socket);
    }
  }
  sender_.files -= count_;
  if (--sender_.messages != 0) {
    return;
  }
  Sender** at = &g_senders;
  while (*at != &sender_) {
    at = &(*at)->next;
  }
  *at = sender_.next;
  destroy(&sender_);
}

bool PassedFiles::too_many() const {
  return sender_.files > current_process().limits->of(Resource::kOpenFiles).now &&
         !capable(Capability::kSysResource) && !capable(Capability::kSysAdmin);
}

void PassedFiles::add(Ref<files::File> file) {
  if (Socket* const socket = socket_of(*file); socket != nullptr) {
    depart(*socket);
  }
  ++sender_.files;
  files_[count_++] = std::move(file);
}

bool sockets_on_their_way() { return g_on_their_way != nullptr; }

void close_unreachable() {
  if (g_closing || g_on_their_way == nullptr) {
    return;
  }
  g_closing = true;
  Ref<Socket> lost = find_lost();
  while (lost) {
    const Ref<Socket> one = std::move(lost);
    lost = std::move(one->flight.next_lost);
    one->drop_records();
  }
  g_closing = false;
}

}  // namespace nopte::guest::net
