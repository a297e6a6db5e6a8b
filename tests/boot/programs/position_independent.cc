// A static position-independent program: relocates itself, finds its own headers by the auxiliary vector,
// throws (which walks its headers), and executes itself again.
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <stdexcept>

#include "checks.h"

extern const char __ehdr_start[];

namespace {

int g_value = 7;
int* g_relocated = &g_value;

void thrower() { throw std::runtime_error("thrown"); }

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return 33;
  check("type", [] {
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(__ehdr_start);
    CHECK(header->e_type == ET_DYN);
    CHECK(reinterpret_cast<unsigned long>(header) >= 0x10000 &&
          reinterpret_cast<unsigned long>(header) % 4096 == 0);
  });
  check("relocated", [] { CHECK(g_relocated == &g_value && *g_relocated == 7); });
  check("auxiliary_vector", [] {
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(__ehdr_start);
    const char* base = __ehdr_start;
    CHECK(getauxval(AT_PHDR) == reinterpret_cast<unsigned long>(base + header->e_phoff));
    CHECK(getauxval(AT_PHNUM) == header->e_phnum);
    CHECK(getauxval(AT_PHENT) == sizeof(ElfW(Phdr)));
    CHECK(getauxval(AT_ENTRY) == reinterpret_cast<unsigned long>(base + header->e_entry));
    CHECK(getauxval(AT_BASE) == 0);
    CHECK(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_CLKTCK) == 100 && getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_RANDOM) != 0 && getauxval(AT_EXECFN) != 0);
    CHECK(strcmp(reinterpret_cast<const char*>(getauxval(AT_PLATFORM)), "x86_64") == 0);
  });
  check("exceptions", [] {
    bool caught = false;
    try {
      thrower();
    } catch (const std::exception& error) {
      caught = strcmp(error.what(), "thrown") == 0;
    }
    CHECK(caught);
  });
  check("brk", [] {
    auto* before = static_cast<char*>(sbrk(0));
    CHECK(sbrk(100'000) == before);
    before[99'999] = 1;
    CHECK(sbrk(-100'000) == before + 100'000);
  });
  check("exec_itself", [argv] {
    const int status = status_of_child([argv] {
      execl(argv[0], argv[0], "again", nullptr);
      _exit(1);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
  });
  return finish();
}
