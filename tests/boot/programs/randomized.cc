// Where a position-independent program finds itself, its stack, heap and mappings: elsewhere at each exec if
// kernel.randomize_va_space says so, and at the same addresses for who asks for that by personality(2).
// Prints the addresses when it is called with an argument. The same on Linux.
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>

#include <initializer_list>

#include "checks.h"

namespace {

struct Addresses {
  uint64_t program, heap, mapping, stack, random[2];
};

Addresses own() {
  int on_stack = 0;
  Addresses addresses = {};
  addresses.program = reinterpret_cast<uint64_t>(&own);
  addresses.heap = reinterpret_cast<uint64_t>(sbrk(0));
  void* const mapping = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(mapping != MAP_FAILED);
  addresses.mapping = reinterpret_cast<uint64_t>(mapping);
  addresses.stack = reinterpret_cast<uint64_t>(&on_stack);
  memcpy(addresses.random, reinterpret_cast<const void*>(getauxval(AT_RANDOM)), sizeof(addresses.random));
  return addresses;
}

// Those that this program has when it is executed anew.
Addresses executed(const char* program, unsigned long persona) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int status = status_of_child([&] {
    CHECK(personality(persona) >= 0 && dup2(ends[1], 1) == 1);
    execl(program, program, "raw", nullptr);
  });
  Addresses addresses;
  CHECK(status == 0 && read(ends[0], &addresses, sizeof(addresses)) == sizeof(addresses));
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  return addresses;
}

int setting() {
  FILE* const file = fopen("/proc/sys/kernel/randomize_va_space", "r");
  int value = -1;
  CHECK(file != nullptr && fscanf(file, "%d", &value) == 1 && fclose(file) == 0);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const Addresses addresses = own();
    if (strcmp(argv[1], "raw") == 0) {
      return write(1, &addresses, sizeof(addresses)) == sizeof(addresses) ? 0 : 1;
    }
    printf("program %lx\nheap %lx\nmapping %lx\nstack %lx\nrandom %016lx%016lx\n", addresses.program,
           addresses.heap, addresses.mapping, addresses.stack, addresses.random[0], addresses.random[1]);
    return 0;
  }
  const bool randomized = setting() != 0;
  check("as_the_setting_says", [&] {
    const Addresses one = executed(argv[0], 0);
    const Addresses other = executed(argv[0], 0);
    CHECK((one.program != other.program) == randomized);
    CHECK((one.heap != other.heap) == randomized);
    CHECK((one.mapping != other.mapping) == randomized);
    CHECK((one.stack != other.stack) == randomized);
    CHECK(memcmp(one.random, other.random, sizeof(one.random)) != 0);
    for (const Addresses& each : {one, other}) {
      CHECK(each.program >= 0x5555'5555'4000 && each.program < each.heap && each.heap < each.mapping);
      CHECK(each.mapping < each.stack && each.stack < 0x7fff'ffff'f000);
    }
  });
  check("not_for_who_says_so", [&] {
    const Addresses one = executed(argv[0], ADDR_NO_RANDOMIZE);
    const Addresses other = executed(argv[0], ADDR_NO_RANDOMIZE);
    CHECK(one.program == other.program && one.heap == other.heap && one.mapping == other.mapping);
    CHECK(one.stack == other.stack);
    CHECK(one.program >> 16 == 0x5555'5555 && one.stack >> 32 == 0x7fff);
    CHECK(memcmp(one.random, other.random, sizeof(one.random)) != 0);
  });
  check("a_fork_stays_where_it_is", [] {
    void* const before = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(munmap(before, 4096) == 0);
    CHECK(status_of_child([before] {
            void* const now = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            _exit(now == before ? 0 : 1);
          }) == 0);
  });
  return finish();
}
