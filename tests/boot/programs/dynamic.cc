// A dynamic program of this machine's C and C++ libraries: what ld.so and they ask of a kernel, and what of
// their mappings a program can tell. It is linked twice, position-independent and not (dynamic_fixed).
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <stdexcept>
#include <string>

#include "checks.h"

extern const char __ehdr_start[];

namespace {

constexpr unsigned long kAlign = 0x10000;
alignas(kAlign) char g_aligned[16] = {1};
char g_zero[100'000];
thread_local int g_local = 5;
int g_constructed = 0;
[[gnu::constructor]] void construct() { ++g_constructed; }

// The line of /proc/self/maps that holds the address; empty: none.
std::string mapping_of(const void* address) {
  FILE* const maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  char line[512];
  std::string found;
  while (fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin = 0, end = 0;
    CHECK(sscanf(line, "%lx-%lx", &begin, &end) == 2);
    const auto at = reinterpret_cast<unsigned long>(address);
    if (begin <= at && at < end) found = line;
  }
  fclose(maps);
  return found;
}

bool holds(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return g_local + g_constructed;
  check("relocated", [] {
    CHECK(reinterpret_cast<unsigned long>(g_aligned) % kAlign == 0 && g_aligned[0] == 1 && g_aligned[1] == 0);
    for (const char byte : g_zero) CHECK(byte == 0);
  });
  check("constructed", [] { CHECK(g_constructed == 1); });
  check("thread_local", [] { CHECK(g_local == 5 && ++g_local == 6); });
  check("auxiliary_vector", [] {
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(__ehdr_start);
    const unsigned long bias = header->e_type == ET_DYN ? reinterpret_cast<unsigned long>(header) : 0;
    CHECK(getauxval(AT_PHDR) == reinterpret_cast<unsigned long>(__ehdr_start) + header->e_phoff);
    CHECK(getauxval(AT_PHNUM) == header->e_phnum && getauxval(AT_ENTRY) == header->e_entry + bias);
    const unsigned long base = getauxval(AT_BASE);
    CHECK(base != 0 && memcmp(reinterpret_cast<const void*>(base), ELFMAG, SELFMAG) == 0);
    Dl_info info;
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "_dl_mcount"), &info) != 0);
    CHECK(info.dli_fbase == reinterpret_cast<void*>(base));
  });
  check("libraries_are_mapped_files", [] {
    void* const function = dlsym(RTLD_DEFAULT, "strtok");
    CHECK(function != nullptr);
    const std::string text = mapping_of(function);
    CHECK(holds(text, " r-xp ") && holds(text, "libc.so.6"));
    CHECK(holds(mapping_of(reinterpret_cast<void*>(getauxval(AT_BASE))), "ld-linux-x86-64.so.2"));
  });
  check("their_relocations_are_read_only", [] {
    // _DYNAMIC lies in RELRO.
    const std::string text = mapping_of(_DYNAMIC);
    CHECK(holds(text, " r--p "));
    const int status = status_of_child([] { *reinterpret_cast<volatile char*>(_DYNAMIC) = 1; });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  });
  check("exceptions", [] {
    bool caught = false;
    try {
      throw std::runtime_error("thrown");
    } catch (const std::exception& error) {
      caught = strcmp(error.what(), "thrown") == 0;
    }
    CHECK(caught);
  });
  check("a_library_that_is_not_there", [] {
    CHECK(dlopen("libno-such.so.9", RTLD_NOW) == nullptr);
    CHECK(strstr(dlerror(), "libno-such.so.9: cannot open shared object file: No such file") != nullptr);
  });
  check("its_own_libraries_again", [] {
    void* const library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    CHECK(library != nullptr && dlsym(library, "strtok") != nullptr && dlclose(library) == 0);
  });
  check("brk_lies_behind_the_program", [] {
    const auto end = reinterpret_cast<unsigned long>(g_zero) + sizeof g_zero;
    CHECK(reinterpret_cast<unsigned long>(sbrk(0)) >= end);
  });
  check("fork_and_exec_itself", [argv] {
    const int status = status_of_child([argv] {
      execl(argv[0], argv[0], "again", nullptr);
      _exit(1);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
  });
  check("by_its_interpreter", [argv] {
    const int status = status_of_child([argv] {
      const char* const interpreter = "/lib64/ld-linux-x86-64.so.2";
      execl(interpreter, interpreter, argv[0], "again", nullptr);
      _exit(1);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
  });
  return finish();
}
