// What /proc/net says of sockets, and ioctl of the loopback. Prints the same on Linux.
#include <net/if.h>

#include <cstdint>

#include "tests/boot/programs/inet_checks.h"

namespace {

// The line of the socket, by its inode's number: the fields up to `count`, without the first.
std::string line_of(const char* path, int made) {
  struct stat info;
  CHECK(fstat(made, &info) == 0);
  const std::string wanted = " " + std::to_string(info.st_ino) + " ";
  const std::string text = contents(path);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin) + " ";
    if (line.find(wanted) != std::string::npos) {
      return line;
    }
    begin = end + 1;
  }
  return "";
}
// Address and port of each side, and the state, as in the line.
std::string expected(const char* local, uint16_t local_port, const char* remote, uint16_t remote_port,
                     const char* state) {
  char text[200];
  snprintf(text, sizeof text, ": %s:%04X %s:%04X %s ", local, local_port, remote, remote_port, state);
  return text;
}

void proc_net() {
  check("/proc/net/tcp and tcp6", [] {
    const int listener = listening_socket("127.0.0.1");
    const uint16_t port = own_address(listener).port();
    const int client = connected_socket(own_address(listener));
    const int accepted = accept(listener, nullptr, nullptr);
    CHECK(write(client, "hello", 5) == 5);
    const uint16_t from = own_address(client).port();
    CHECK(line_of("/proc/net/tcp", listener).find(expected("0100007F", port, "00000000", 0, "0A")) !=
          std::string::npos);
    CHECK(line_of("/proc/net/tcp", client).find(expected("0100007F", from, "0100007F", port, "01")) !=
          std::string::npos);
    const std::string line = line_of("/proc/net/tcp", accepted);
    CHECK(line.find(expected("0100007F", port, "0100007F", from, "01") + "00000000:00000005") !=
          std::string::npos);
    const int six = listening_socket("::1");
    CHECK(line_of("/proc/net/tcp6", six)
              .find(expected("00000000000000000000000001000000", own_address(six).port(),
                             "00000000000000000000000000000000", 0, "0A")) != std::string::npos);
    for (const int made : {listener, client, accepted, six}) {
      CHECK(close(made) == 0);
    }
  });
  check("/proc/net/udp", [] {
    const int made = bound_socket(SOCK_DGRAM, "127.0.0.1");
    CHECK(line_of("/proc/net/udp", made)
              .find(expected("0100007F", own_address(made).port(), "00000000", 0, "07")) !=
          std::string::npos);
    const int client = connected_socket(own_address(made), SOCK_DGRAM);
    CHECK(line_of("/proc/net/udp", client).find(" 01 00000000:") != std::string::npos);
    CHECK(close(made) == 0 && close(client) == 0);
  });
  check("/proc/net/unix", [] {
    const Address path = path_address("path");
    const Address abstract = abstract_address("nopte-proc");
    const int first = new_socket(SOCK_STREAM);
    const int second = new_socket(SOCK_DGRAM);
    CHECK(bind(first, path.get(), path.bytes) == 0 && listen(first, 1) == 0);
    CHECK(bind(second, abstract.get(), abstract.bytes) == 0);
    std::string line = line_of("/proc/net/unix", first);
    CHECK(line.find(": 00000002 00000000 00010000 0001 01 ") != std::string::npos &&
          line.ends_with(" path "));
    line = line_of("/proc/net/unix", second);
    CHECK(line.find(": 00000002 00000000 00000000 0002 01 ") != std::string::npos &&
          line.ends_with(" @nopte-proc "));
    CHECK(close(first) == 0 && close(second) == 0);
  });
}

ifreq request(const char* name) {
  ifreq made{};
  strncpy(made.ifr_name, name, sizeof made.ifr_name - 1);
  return made;
}

void loopback() {
  check("the loopback", [] {
    for (const int family : {AF_INET, AF_UNIX}) {
      const int made = socket(family, SOCK_DGRAM, 0);
      ifreq lo = request("lo");
      CHECK(ioctl(made, SIOCGIFFLAGS, &lo) == 0 && lo.ifr_flags == (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
      CHECK(ioctl(made, SIOCSIFFLAGS, &lo) == 0);
      CHECK(ioctl(made, SIOCGIFINDEX, &lo) == 0 && lo.ifr_ifindex == 1);
      memset(lo.ifr_name, 0, sizeof lo.ifr_name);
      CHECK(ioctl(made, SIOCGIFNAME, &lo) == 0 && strcmp(lo.ifr_name, "lo") == 0);
      CHECK(ioctl(made, SIOCGIFHWADDR, &lo) == 0 && lo.ifr_hwaddr.sa_family == 772);
      CHECK(ioctl(made, SIOCGIFMTU, &lo) == 0 && lo.ifr_mtu > 0);
      ifreq none = request("nothing");
      CHECK_ERRNO(ioctl(made, SIOCGIFFLAGS, &none), ENODEV);
      CHECK_ERRNO(ioctl(made, SIOCGIFFLAGS, nullptr), EFAULT);
      CHECK_ERRNO(ioctl(made, SIOCSIFFLAGS, nullptr), EFAULT);
      CHECK_ERRNO(ioctl(made, SIOCGIFNAME, nullptr), EFAULT);
      CHECK_ERRNO(ioctl(made, SIOCGIFCONF, nullptr), EFAULT);
      CHECK(close(made) == 0);
    }
    const int made = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq lo = request("lo");
    CHECK(ioctl(made, SIOCGIFADDR, &lo) == 0);
    CHECK(reinterpret_cast<const sockaddr_in*>(&lo.ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(ioctl(made, SIOCGIFNETMASK, &lo) == 0);
    CHECK(reinterpret_cast<const sockaddr_in*>(&lo.ifr_addr)->sin_addr.s_addr == htonl(0xff000000));
    ifreq all[16] = {};
    ifconf list{};
    list.ifc_len = sizeof all;
    list.ifc_req = all;
    CHECK(ioctl(made, SIOCGIFCONF, &list) == 0 && list.ifc_len % static_cast<int>(sizeof(ifreq)) == 0);
    CHECK(list.ifc_len > 0 && strcmp(all[0].ifr_name, "lo") == 0);
    CHECK_ERRNO(ioctl(made, SIOCATMARK, &list), ENOTTY);
    const int stream = socket(AF_INET, SOCK_STREAM, 0);
    int mark = -1;
    CHECK(ioctl(stream, SIOCATMARK, &mark) == 0 && mark == 0);
    CHECK_ERRNO(ioctl(stream, SIOCATMARK, nullptr), EFAULT);
    CHECK(close(made) == 0 && close(stream) == 0);
    const int status = status_of_child([] {
      CHECK(setuid(1000) == 0);
      ifreq mine = request("lo");
      CHECK_ERRNO(ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &mine), EPERM);
    });
    CHECK(status == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  proc_net();
  loopback();
  return finish();
}
