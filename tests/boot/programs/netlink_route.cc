// AF_NETLINK: which interfaces and addresses there are, as getifaddrs and if_nameindex ask. Prints the same
// on Linux, of the loopback.
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstdint>

#include "tests/boot/programs/inet_checks.h"

namespace {

int route_socket() {
  const int made = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  CHECK(made >= 0);
  return made;
}

struct Question {
  nlmsghdr header;
  ifinfomsg facts;
};
Question question(int type, int flags, int index = 0, int family = AF_UNSPEC) {
  Question made{};
  made.header = {sizeof made, static_cast<uint16_t>(type), static_cast<uint16_t>(NLM_F_REQUEST | flags), 77,
                 0};
  made.facts.ifi_family = static_cast<unsigned char>(family);
  made.facts.ifi_index = index;
  return made;
}

// Prints messages until the end of the answer, of interface 1.
void print_answers(int made, bool one = false) {
  for (bool done = false; !done;) {
    alignas(nlmsghdr) char text[16384];
    sockaddr_nl from{};
    socklen_t from_bytes = sizeof from;
    ssize_t got =
        recvfrom(made, text, sizeof text, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &from_bytes);
    CHECK(got > 0 && from_bytes == sizeof from && from.nl_family == AF_NETLINK && from.nl_pid == 0);
    for (auto* header = reinterpret_cast<nlmsghdr*>(text); NLMSG_OK(header, got);
         header = NLMSG_NEXT(header, got)) {
      CHECK(header->nlmsg_seq == 77);
      const void* const data = NLMSG_DATA(header);
      done = one || header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR;
      if (header->nlmsg_type == RTM_NEWLINK) {
        const auto& facts = *static_cast<const ifinfomsg*>(data);
        if (facts.ifi_index == 1) {
          printf("  link %u flags %x, type %u flags %x\n", header->nlmsg_type, header->nlmsg_flags,
                 facts.ifi_type, facts.ifi_flags);
        }
      } else if (header->nlmsg_type == RTM_NEWADDR) {
        const auto& facts = *static_cast<const ifaddrmsg*>(data);
        if (facts.ifa_index == 1) {
          printf("  address %u flags %x, family %u/%u scope %u\n", header->nlmsg_type, header->nlmsg_flags,
                 facts.ifa_family, facts.ifa_prefixlen, facts.ifa_scope);
        }
      } else if (header->nlmsg_type == NLMSG_ERROR) {
        printf("  error %d\n", *static_cast<const int*>(data));
      } else {
        printf("  type %u, flags %x\n", header->nlmsg_type, header->nlmsg_flags);
      }
    }
  }
}

void ask(int made, const Question& asked, bool one = false) {
  CHECK(send(made, &asked, asked.header.nlmsg_len, 0) == static_cast<ssize_t>(asked.header.nlmsg_len));
  print_answers(made, one);
}

void questions() {
  check("numbers", [] {
    const int first = route_socket(), second = route_socket();
    sockaddr_nl any{}, own{};
    any.nl_family = AF_NETLINK;
    socklen_t bytes = sizeof own;
    CHECK(getsockname(first, reinterpret_cast<sockaddr*>(&own), &bytes) == 0 && own.nl_pid == 0 &&
          bytes == 12);
    CHECK(bind(first, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    CHECK(getsockname(first, reinterpret_cast<sockaddr*>(&own), &bytes) == 0);
    CHECK(own.nl_pid == static_cast<unsigned>(getpid()));
    CHECK(bind(second, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    CHECK(getsockname(second, reinterpret_cast<sockaddr*>(&own), &bytes) == 0);
    CHECK(own.nl_pid != 0 && own.nl_pid != static_cast<unsigned>(getpid()));
    CHECK_ERRNO(bind(first, reinterpret_cast<sockaddr*>(&any), 11), EINVAL);
    any.nl_pid = static_cast<unsigned>(getpid());
    CHECK_ERRNO(bind(second, reinterpret_cast<sockaddr*>(&any), sizeof any), EINVAL);
    const int third = route_socket();
    CHECK_ERRNO(bind(third, reinterpret_cast<sockaddr*>(&any), sizeof any), EADDRINUSE);
    CHECK(close(first) == 0 && close(second) == 0 && close(third) == 0);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
  });
  check("links and addresses", [] {
    const int made = route_socket();
    CHECK(events_of(made) == POLLOUT);
    ask(made, question(RTM_GETLINK, NLM_F_DUMP));
    ask(made, question(RTM_GETLINK, 0, 1), true);
    ask(made, question(RTM_GETADDR, NLM_F_DUMP));
    ask(made, question(RTM_GETADDR, NLM_F_DUMP, 0, AF_INET));
    ask(made, question(RTM_GETADDR, NLM_F_DUMP, 0, AF_INET6));
    CHECK(close(made) == 0);
  });
  check("what is refused", [] {
    const int made = route_socket();
    ask(made, question(RTM_GETLINK, 0, 9999));
    Question brief = question(RTM_GETLINK, NLM_F_ACK);
    brief.header.nlmsg_len = sizeof brief.header;
    ask(made, brief);
    Question odd = question(RTM_GETLINK, NLM_F_ACK);
    odd.header.nlmsg_type = NLMSG_NOOP;
    ask(made, odd);
    char byte;
    CHECK_ERRNO(recv(made, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(listen(made, 1), EOPNOTSUPP);
    CHECK(close(made) == 0);
  });
  check("libc", [] {
    struct if_nameindex* const names = if_nameindex();
    CHECK(names != nullptr && names[0].if_index == 1 && strcmp(names[0].if_name, "lo") == 0);
    if_freenameindex(names);
    ifaddrs* all = nullptr;
    CHECK(getifaddrs(&all) == 0);
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
      if (strcmp(one->ifa_name, "lo") == 0) {
        printf("  %s family %d flags %x\n", one->ifa_name, one->ifa_addr->sa_family, one->ifa_flags);
      }
    }
    freeifaddrs(all);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  questions();
  return finish();
}
