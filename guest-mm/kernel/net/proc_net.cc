// /proc/net: sockets and the one interface (Documentation/filesystems/proc.rst of Linux; get_tcp4_sock() and
// its kin).
#include "guest-mm/kernel/files/proc/proc_inodes.h"
#include "guest-mm/kernel/files/proc/setting.h"
#include "guest-mm/kernel/net/inet_socket.h"
#include "guest-mm/kernel/net/unix_socket.h"

namespace nopte::guest::net {

namespace {

using files::Setting;
using files::TextBuilder;
using Hex = TextBuilder::Hex;

constexpr u32 kEstablished = 1, kClose = 7, kListen = 10;  // net/tcp_states.h

void add_capitals(TextBuilder& out, u64 value, u32 digits) {
  while (digits-- > 0) {
    out.add("0123456789ABCDEF"[value >> (4 * digits) & 0xf]);
  }
}

// In words as this machine stores them, of bytes in network order.
void add_endpoint(TextBuilder& out, const Endpoint& endpoint, u64 first_byte) {
  const auto& bytes = endpoint.address.bytes;
  for (u64 at = first_byte; at < bytes.size(); at += 4) {
    add_capitals(
        out, u64{bytes[at + 3]} << 24 | u64{bytes[at + 2]} << 16 | u64{bytes[at + 1]} << 8 | bytes[at], 8);
  }
  out.add(':');
  add_capitals(out, endpoint.port, 4);
  out.add(' ');
}

u32 state_of(const InetSocket& socket) {
  switch (socket.state()) {
    case Socket::State::kListening:
      return kListen;
    case Socket::State::kConnected:
      return socket.type == Type::kDatagram || socket.peer ? kEstablished : kClose;
    default:
      return kClose;
  }
}

template <u16 family, u16 protocol>
void inet(TextBuilder& out) {
  constexpr u64 kFirstByte = family == kFamilyInet ? 12 : 0;
  constexpr std::string_view kAddressPad = family == kFamilyInet ? "" : "                        ";
  out.add(protocol == kProtocolTcp ? "" : " ", "  sl  local_address ", kAddressPad,
          family == kFamilyInet ? "rem_address   " : "remote_address                        ",
          "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
          protocol == kProtocolTcp ? "\n" : " ref pointer drops\n");
  u64 line = 0;
  for (u32 bucket = 0; bucket < InetSocket::kBuckets; ++bucket) {
    for (const InetSocket* socket = InetSocket::first_in(bucket); socket != nullptr;
         socket = socket->next_with_port()) {
      if (socket->family != family || socket->protocol != protocol) {
        continue;
      }
      out.add(TextBuilder::Padded{line++, protocol == kProtocolTcp ? 4u : 5u}, ": ");
      add_endpoint(out, socket->local(), kFirstByte);
      add_endpoint(out, socket->remote(), kFirstByte);
      add_capitals(out, state_of(*socket), 2);
      out.add(" 00000000:");
      add_capitals(out, socket->queued_bytes(), 8);
      out.add(" 00:00000000 00000000 ", TextBuilder::Padded{socket->uid, 5}, "        0 ", socket->number,
              ' ', socket->references(), " 0000000000000000",
              protocol == kProtocolTcp ? " 100 0 0 10 0\n" : " 0\n");
    }
  }
}

void unix_sockets(TextBuilder& out) {
  constexpr u32 kAcceptsConnections = 1 << 16;
  out.add("Num       RefCount Protocol Flags    Type St Inode Path\n");
  UnixSocket::for_each_named([&](const UnixSocket& socket) {
    const bool listens = socket.state() == Socket::State::kListening;
    const bool connected = socket.state() == Socket::State::kConnected;
    out.add("0000000000000000: ", Hex{socket.references() + 1, 8}, " 00000000 ",
            Hex{listens ? kAcceptsConnections : 0, 8}, ' ', Hex{static_cast<u64>(socket.type), 4}, ' ',
            connected ? "03" : "01", ' ', TextBuilder::Padded{socket.number, 5}, ' ');
    const bool abstract = socket.name->address.text[0] == 0;
    for (u64 i = 0; i < socket.name->bytes - kFamilyBytes - (abstract ? 0 : 1); ++i) {
      const char c = socket.name->address.text[i];
      out.add(c == 0 ? '@' : c);
    }
    out.add('\n');
  });
}

constexpr Setting kRows[] = {
    NOPTE_FIXED(
        "dev",
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
        "colls carrier compressed\n"
        "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0 "
        "    0       0          0"),
    NOPTE_FIXED("if_inet6", "00000000000000000000000000000001 01 80 10 80       lo"),
    NOPTE_FIXED("route",
                "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"),
    {.path = "tcp", .read = inet<kFamilyInet, kProtocolTcp>},
    {.path = "tcp6", .read = inet<kFamilyInet6, kProtocolTcp>},
    {.path = "udp", .read = inet<kFamilyInet, kProtocolUdp>},
    {.path = "udp6", .read = inet<kFamilyInet6, kProtocolUdp>},
    {.path = "udplite", .read = inet<kFamilyInet, kProtocolUdpLite>},
    {.path = "udplite6", .read = inet<kFamilyInet6, kProtocolUdpLite>},
    {.path = "unix", .read = unix_sockets},
};

}  // namespace

}  // namespace nopte::guest::net

namespace nopte::guest::files {

constexpr SettingTree kProcNet{
    .name = "net", .rows = net::kRows, .first_number = 1 << 14, .device = kProcDevice};

}  // namespace nopte::guest::files
