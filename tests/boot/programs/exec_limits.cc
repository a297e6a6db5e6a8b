// How much execve takes of arguments and environment: a quarter of the stack's limit, pointers to them
// included, but 128 KiB at least and 6 MiB at most, and 128 KiB of one string. The same on Linux.
#include <sys/resource.h>

#include <vector>

#include "exec_checks.h"

namespace {

constexpr size_t kLongest = 128 << 10;
// More than what the program's own name takes, which counts too.
constexpr size_t kMargin = 4096;

// What comes of executing this program with so many bytes, pointers and terminators included, of strings of
// at most `longest` bytes, in arguments or in the environment.
void run(const char* what, size_t bytes, size_t longest, bool in_environment) {
  const int status = status_of_child([=] {
    static std::vector<char> text(longest, 'x');
    text.back() = 0;
    char name[] = "self";
    std::vector<char*> one = {name};
    std::vector<char*> other;
    std::vector<char*>& many = in_environment ? other : one;
    size_t left = bytes - sizeof(name) - sizeof(char*);
    while (left > sizeof(char*) + 1) {
      const size_t length = left - sizeof(char*) < longest ? left - sizeof(char*) : longest;
      many.push_back(text.data() + longest - length);
      left -= length + sizeof(char*);
    }
    if (in_environment && many.empty()) _exit(1);
    one.push_back(nullptr);
    other.push_back(nullptr);
    execve("/proc/self/exe", one.data(), other.data());
    _exit(128 + errno);
  });
  CHECK(WIFEXITED(status));
  const int left = WEXITSTATUS(status);
  printf("  %s: %s\n", what, left == 42 ? "runs" : left > 128 ? strerror(left - 128) : "?");
  fflush(stdout);
}

void with_limit(const char* name, rlim_t limit, size_t most) {
  printf("%s\n", name);
  fflush(stdout);
  const int status = status_of_child([=] {
    rlimit stack;
    CHECK(getrlimit(RLIMIT_STACK, &stack) == 0);
    stack.rlim_cur = limit;
    CHECK(setrlimit(RLIMIT_STACK, &stack) == 0);
    run("less", most - kMargin, 60'000, false);
    run("more", most + 64, 60'000, false);
    run("less of short ones", most - kMargin, 24, false);
    run("more of short ones", most + 64, 24, false);
    run("less in the environment", most - kMargin, 60'000, true);
    run("more in the environment", most + 64, 60'000, true);
  });
  CHECK(status == 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 || strcmp(argv[0], "self") == 0) {
    return 42;
  }
  check("strings", [] {
    run("the longest", kLongest + 100, kLongest, false);
    run("longer", kLongest + 100, kLongest + 1, false);
    run("the longest in the environment", kLongest + 100, kLongest, true);
    run("longer in the environment", kLongest + 100, kLongest + 1, true);
  });
  check("together", [] {
    with_limit("8 MiB", 8 << 20, 2 << 20);
    with_limit("1 MiB", 1 << 20, 256 << 10);
    with_limit("256 KiB", 256 << 10, 128 << 10);
    with_limit("20 MiB", 20 << 20, 5 << 20);
    with_limit("64 MiB", 64 << 20, 6 << 20);
    with_limit("none", RLIM_INFINITY, 6 << 20);
  });
  return finish();
}
