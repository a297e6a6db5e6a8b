// Who may bind and connect to a path, what a bound name looks like, and a table of descriptors that is full.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include "tests/boot/programs/socket_checks.h"

namespace {

int connect_to(int type, const Address& address) {
  const int made = new_socket(type);
  const int answer = connect(made, address.get(), address.bytes);
  const int error = errno;
  CHECK(close(made) == 0);
  errno = error;
  return answer;
}

void paths() {
  check("mode and owner of a name", [] {
    const Address address = path_address("name");
    struct Case {
      mode_t mask;
      int own_mode;  // fchmod before bind; -1: none
      mode_t expected;
    };
    for (const Case& one :
         {Case{022, -1, 0755}, Case{0, -1, 0777}, Case{077, -1, 0700}, Case{022, 0660, 0640}}) {
      umask(one.mask);
      const int made = new_socket(SOCK_STREAM);
      CHECK(one.own_mode < 0 || fchmod(made, static_cast<mode_t>(one.own_mode)) == 0);
      CHECK(bind(made, address.get(), address.bytes) == 0);
      CHECK((stat_of("name").st_mode & 07777) == one.expected && stat_of("name").st_nlink == 1);
      CHECK(unlink("name") == 0 && close(made) == 0);
    }
    umask(022);
    CHECK(mkdir("open", 0777) == 0 && chmod("open", 02777) == 0 && chown("open", 0, 77) == 0);
    const int status = status_of_child([] {
      CHECK(setgid(1001) == 0 && setuid(1000) == 0);
      const Address inside = path_address("open/name");
      const int made = new_socket(SOCK_DGRAM);
      CHECK(bind(made, inside.get(), inside.bytes) == 0);
      struct stat info;
      CHECK(fstat(made, &info) == 0 && info.st_uid == 1000 && info.st_gid == 1001);
    });
    CHECK(status == 0);
    CHECK(stat_of("open/name").st_uid == 1000 && stat_of("open/name").st_gid == 77);
    CHECK(unlink("open/name") == 0);
  });
  check("where a name cannot be", [] {
    put("file", "");
    CHECK(mkdir("closed", 0700) == 0 && symlink("nowhere", "link") == 0);
    const int made = new_socket(SOCK_STREAM);
    const auto bind_to = [&](const char* path) {
      const Address address = path_address(path);
      return bind(made, address.get(), address.bytes);
    };
    CHECK_ERRNO(bind_to("file"), EADDRINUSE);
    CHECK_ERRNO(bind_to("link"), EADDRINUSE);
    CHECK_ERRNO(bind_to("."), EADDRINUSE);
    CHECK_ERRNO(bind_to("file/name"), ENOTDIR);
    CHECK_ERRNO(bind_to("missing/name"), ENOENT);
    CHECK_ERRNO(bind_to("missing/"), ENOENT);
    const int status = status_of_child([&] {
      CHECK(setuid(1000) == 0);
      CHECK_ERRNO(bind_to("mine"), EACCES);
      CHECK_ERRNO(bind_to("closed/name"), EACCES);
    });
    CHECK(status == 0 && close(made) == 0);
    const Address no_socket = path_address("file");
    CHECK_ERRNO(connect_to(SOCK_STREAM, no_socket), ECONNREFUSED);
    Address other = path_address("x");
    other.name.sun_family = AF_INET;
    CHECK_ERRNO(connect_to(SOCK_STREAM, other), EINVAL);
    CHECK_ERRNO(connect_to(SOCK_DGRAM, other), EINVAL);
  });
  check("who may connect", [] {
    const Address address = path_address("server");
    const Address inside = path_address("dir/server");
    CHECK(mkdir("dir", 0700) == 0);
    const int listener = new_socket(SOCK_STREAM);
    const int datagrams = new_socket(SOCK_DGRAM);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 20) == 0);
    CHECK(bind(datagrams, inside.get(), inside.bytes) == 0);
    for (const mode_t mode : {0777, 0755, 0722, 0772, 0666, 0000}) {
      CHECK(chmod("server", mode) == 0);
      const int status = status_of_child([&] {
        CHECK(setgid(1001) == 0 && setuid(1000) == 0);
        _exit(connect_to(SOCK_STREAM, address) == 0 ? 1 : errno == EACCES ? 2 : 3);
      });
      printf("mode %o: %s\n", mode,
             WEXITSTATUS(status) == 1   ? "connected"
             : WEXITSTATUS(status) == 2 ? "EACCES"
                                        : "?");
    }
    CHECK(connect_to(SOCK_STREAM, address) == 0);
    CHECK_ERRNO(connect_to(SOCK_SEQPACKET, address), EPROTOTYPE);
    CHECK_ERRNO(connect_to(SOCK_DGRAM, address), EPROTOTYPE);
    const int status = status_of_child([&] {
      CHECK(setuid(1000) == 0);
      CHECK_ERRNO(connect_to(SOCK_DGRAM, inside), EACCES);
      const int sender = new_socket(SOCK_DGRAM);
      CHECK_ERRNO(sendto(sender, "x", 1, 0, inside.get(), inside.bytes), EACCES);
    });
    CHECK(status == 0);
    CHECK(chmod("dir", 0711) == 0 && chmod("dir/server", 0766) == 0);
    const int allowed = status_of_child([&] {
      CHECK(setuid(1000) == 0);
      const int sender = new_socket(SOCK_DGRAM);
      CHECK(sendto(sender, "x", 1, 0, inside.get(), inside.bytes) == 1);
    });
    CHECK(allowed == 0 && close(listener) == 0 && close(datagrams) == 0);
  });
}

void full_table() {
  check("no descriptor left", [] {
    const Address address = abstract_address("nopte-emfile");
    const int listener = new_socket(SOCK_STREAM);
    const int client = new_socket(SOCK_STREAM);
    const int datagrams = new_socket(SOCK_DGRAM);
    CHECK(bind(listener, address.get(), address.bytes) == 0 && listen(listener, 1) == 0);
    CHECK(connect(client, address.get(), address.bytes) == 0 && write(client, "kept", 4) == 4);
    const int next = dup(0);
    CHECK(next >= 0 && close(next) == 0);
    rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit tight = {static_cast<rlim_t>(next), limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    CHECK_ERRNO(accept(listener, nullptr, nullptr), EMFILE);
    CHECK_ERRNO(accept(client, nullptr, nullptr), EMFILE);
    CHECK_ERRNO(accept(datagrams, nullptr, nullptr), EMFILE);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
    int ends[2] = {-7, -7};
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EMFILE);
    const rlimit one = {static_cast<rlim_t>(next) + 1, limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &one) == 0);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EMFILE);
    CHECK(events_of(listener) == POLLIN);
    const int accepted = accept(listener, nullptr, nullptr);
    char buffer[8];
    CHECK(accepted == next && read(accepted, buffer, 8) == 4);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(close(accepted) == 0 && close(client) == 0 && close(listener) == 0 && close(datagrams) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  CHECK(chmod(".", 0755) == 0);
  paths();
  full_table();
  return finish();
}
