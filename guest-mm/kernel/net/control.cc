// Control messages: SCM_RIGHTS, SCM_CREDENTIALS and times (net/core/scm.c, net/socket.c of Linux 6.12).
#include "guest-mm/kernel/files/wall_clock.h"
#include "guest-mm/kernel/net/inet_options.h"
#include "guest-mm/kernel/net/socket_options.h"
#include "guest-mm/kernel/net/socket_support.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest::net {

namespace {

i64 add_files(const char* data, u64 bytes, Sending& message) {
  const u64 count = bytes / sizeof(i32);
  if (count > kMostPassedFiles) {
    return -kEINVAL;
  }
  if (count == 0) {
    return 0;
  }
  if (!message.files) {
    message.files = PassedFiles::make();
    if (!message.files) {
      return -kENOMEM;
    }
    if (message.files->too_many()) {
      close_unreachable();
    }
    if (message.files->too_many()) {
      return -kETOOMANYREFS;
    }
  }
  if (message.files->count() + count > kMostPassedFiles) {
    return -kEINVAL;
  }
  for (u64 i = 0; i < count; ++i) {
    i32 descriptor = 0;
    std::memcpy(&descriptor, data + i * sizeof descriptor, sizeof descriptor);
    Ref<files::File> file(files::file_of(static_cast<u32>(descriptor)));
    if (!file || file->path_only()) {
      return -kEBADF;
    }
    message.files->add(std::move(file));
  }
  return 0;
}

i64 set_credentials(const char* data, u64 bytes, Sending& message) {
  Credentials named;
  if (bytes != sizeof named) {
    return -kEINVAL;
  }
  std::memcpy(&named, data, sizeof named);
  if (find_process(named.pid) == nullptr) {
    return -kESRCH;
  }
  if (named.uid == ~u32{0} || named.gid == ~u32{0}) {
    return -kEINVAL;
  }
  // Somebody else's name is for who may become them (net/core/scm.c, scm_check_creds).
  const Identity& own = identity();
  const auto is_one_of = [](u32 id, const Ids& ids) {
    return id == ids.real || id == ids.effective || id == ids.saved;
  };
  if ((named.pid != current_process().pid && !own.has(Capability::kSysAdmin)) ||
      (!is_one_of(named.uid, own.user) && !own.has(Capability::kSetuid)) ||
      (!is_one_of(named.gid, own.group) && !own.has(Capability::kSetgid))) {
    return -kEPERM;
  }
  message.sender = named;
  message.names_sender = true;
  return 0;
}

// Datagrams have headers; an IPv6 socket speaks of IPv4's, too.
bool speaks_of_packets(const Socket& socket, i32 level) {
  return (socket.family == kFamilyInet || socket.family == kFamilyInet6) && socket.type == Type::kDatagram &&
         (level == kLevelIp || (level == kLevelIp6 && socket.family == kFamilyInet6));
}

}  // namespace

// As put_cmsg(): what does not fit is cut.
void store_message(MessageHeader& header, i32 level, i32 type, const void* data, u64 bytes, u32& flags) {
  ControlHeader control{sizeof control + bytes, level, type};
  if (header.control == 0 || header.control_bytes < sizeof control) {
    flags |= kMessageControlTruncated;
    return;
  }
  if (header.control_bytes < control.bytes) {
    flags |= kMessageControlTruncated;
    control.bytes = header.control_bytes;
  }
  if (!arch::copy_to_user(Gva(header.control), &control, sizeof control) ||
      !arch::copy_to_user(Gva(header.control + sizeof control), data, control.bytes - sizeof control)) {
    return;
  }
  const u64 space = std::min(control_space(control.bytes), header.control_bytes);
  header.control += space;
  header.control_bytes -= space;
}

// Microseconds are for SO_TIMESTAMP.
void Socket::tell(MessageHeader& header, Receiving& message) {
  if (message.came_ns == 0) {
    return;
  }
  const bool exact = options.bit(kTimestampNs);
  Timespec time = files::signed_timespec(message.came_ns);
  time.nanoseconds = exact ? time.nanoseconds : time.nanoseconds / 1000;
  store_message(header, kLevelSocket, exact ? kTimestampNs : kTimestamp, &time, sizeof time,
                message.flags_out);
}

i64 load_control(const Socket& socket, u64 address, u64 bytes, Sending& message) {
  constexpr u64 kMostBytes = 20480;  // net.core.optmem_max
  if (bytes == 0) {
    return 0;
  }
  if (bytes > kMostBytes) {
    return -kENOBUFS;
  }
  const HeapBuffer buffer(bytes);
  if (!buffer) {
    return -kENOBUFS;
  }
  if (!arch::copy_from_user(buffer.data(), Gva(address), bytes)) {
    return -kEFAULT;
  }
  u64 at = 0;
  while (bytes - at >= sizeof(ControlHeader)) {
    ControlHeader control{};
    std::memcpy(&control, buffer.data() + at, sizeof control);
    if (control.bytes < sizeof control || control.bytes > bytes - at) {
      return -kEINVAL;
    }
    const char* const data = buffer.data() + at + sizeof control;
    const u64 data_bytes = control.bytes - sizeof control;
    i64 error = 0;
    if (control.level == kLevelSocket && socket.family == kFamilyUnix) {
      error = control.type == kPassRights        ? add_files(data, data_bytes, message)
              : control.type == kPassCredentials ? set_credentials(data, data_bytes, message)
                                                 : -kEINVAL;
    } else if (speaks_of_packets(socket, control.level)) {
      error = load_packet_control(control.level, control.type, data, data_bytes, message.packet);
    }
    if (error != 0) {
      return error;
    }
    at += std::min(control_space(control.bytes), bytes - at);
  }
  return 0;
}

void store_control(MessageHeader& header, u32 flags, bool credentials, Receiving& message) {
  if (credentials) {
    store_message(header, kLevelSocket, kPassCredentials, &message.sender, sizeof message.sender,
                  message.flags_out);
  }
  if (!message.files) {
    return;
  }
  const PassedFiles& files = *message.files;
  const u64 room = header.control != 0 && header.control_bytes > sizeof(ControlHeader)
                       ? (header.control_bytes - sizeof(ControlHeader)) / sizeof(i32)
                       : 0;
  const auto close = flags & kMessageCloseOnExec ? files::CloseOnExec::kYes : files::CloseOnExec::kNo;
  u32 given = 0;
  while (given < std::min<u64>(room, files.count())) {
    const i64 descriptor = files::current_files().table.insert(files[given], close);
    if (descriptor < 0) {
      break;
    }
    const u64 place = header.control + sizeof(ControlHeader) + given * sizeof(i32);
    if (files::put_user(place, static_cast<i32>(descriptor)) != 0) {
      static_cast<void>(files::current_files().table.close(static_cast<u64>(descriptor)));
      break;
    }
    ++given;
  }
  if (given < files.count()) {
    message.flags_out |= kMessageControlTruncated;
  }
  if (given != 0) {
    const ControlHeader control{sizeof control + given * sizeof(i32), kLevelSocket, kPassRights};
    if (files::put_user(header.control, control) == 0) {
      const u64 space = std::min(control_space(control.bytes), header.control_bytes);
      header.control += space;
      header.control_bytes -= space;
    }
  }
  message.files.reset();
}

}  // namespace nopte::guest::net
