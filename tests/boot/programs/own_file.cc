// What a program sees of its own file: through mappings of all of it, of parts, past its end, moved and
// grown; and by read. The same on Linux, wherever the file lies.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vector>

#include "checks.h"

namespace {

constexpr size_t kPage = 4096;
int g_file = -1;
size_t g_bytes = 0;
size_t g_whole = 0;  // up to a page
std::vector<char> g_text;

char* map(size_t bytes, int protection, int flags, size_t offset = 0) {
  void* const at = mmap(nullptr, bytes, protection, flags, g_file, static_cast<off_t>(offset));
  CHECK(at != MAP_FAILED);
  return static_cast<char*>(at);
}

bool ends_by(int signal, const char* at) {
  const int status = status_of_child([at] { _exit(*static_cast<const volatile char*>(at)); });
  return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

// The file from `offset` on, and zeros from its end to the page's.
bool shows(const char* at, size_t offset = 0) {
  for (size_t byte = 0; offset + byte < g_whole; ++byte) {
    if (at[byte] != (offset + byte < g_bytes ? g_text[offset + byte] : 0)) return false;
  }
  return true;
}

}  // namespace

int main(int, char** argv) {
  check("read", [argv] {
    g_file = open(argv[0], O_RDONLY);
    struct stat status;
    CHECK(g_file >= 0 && fstat(g_file, &status) == 0);
    g_bytes = static_cast<size_t>(status.st_size);
    g_whole = (g_bytes + kPage - 1) / kPage * kPage;
    CHECK(g_bytes > 4 * kPage);
    g_text.resize(g_bytes + 1);
    CHECK(pread(g_file, g_text.data(), g_bytes + 1, 0) == status.st_size);
    char part[100];
    CHECK(pread(g_file, part, sizeof part, 5000) == 100 && memcmp(part, &g_text[5000], sizeof part) == 0);
  });
  for (const int sharing : {MAP_PRIVATE, MAP_SHARED}) {
    const bool shared = sharing == MAP_SHARED;
    check(shared ? "shared" : "private", [sharing] {
      const char* const at = map(g_whole, PROT_READ, sharing);
      CHECK(shows(at));
    });
    check(shared ? "shared_from_a_page_on" : "private_from_a_page_on",
          [sharing] { CHECK(shows(map(g_whole - kPage, PROT_READ, sharing, kPage), kPage)); });
    check(shared ? "shared_past_the_end" : "private_past_the_end", [sharing] {
      const char* const at = map(g_whole + 3 * kPage, PROT_READ, sharing);
      CHECK(shows(at));
      CHECK(ends_by(SIGBUS, at + g_whole) && ends_by(SIGBUS, at + g_whole + 2 * kPage));
    });
    check(shared ? "shared_all_past_the_end" : "private_all_past_the_end", [sharing] {
      CHECK(ends_by(SIGBUS, map(kPage, PROT_READ, sharing, g_whole)));
      CHECK(ends_by(SIGBUS, map(kPage, PROT_READ, sharing, g_whole + 100 * kPage)));
    });
    check(shared ? "shared_grown" : "private_grown", [sharing] {
      char* at = map(g_whole - kPage, PROT_READ, sharing);
      at = static_cast<char*>(mremap(at, g_whole - kPage, g_whole + 2 * kPage, MREMAP_MAYMOVE));
      CHECK(at != MAP_FAILED && shows(at) && ends_by(SIGBUS, at + g_whole));
    });
  }
  check("written_privately", [] {
    char* const at = map(g_whole, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    at[kPage] ^= 1;
    at[g_whole - 1] = 7;
    CHECK(shows(map(g_whole, PROT_READ, MAP_PRIVATE)) && !shows(at));
    CHECK(WEXITSTATUS(status_of_child([at] { _exit(at[g_whole - 1]); })) == 7);
    CHECK(madvise(at, g_whole, MADV_DONTNEED) == 0 && shows(at));
  });
  check("in_pieces", [] {
    char* const at = map(g_whole, PROT_READ, MAP_PRIVATE);
    CHECK(mprotect(at + kPage, kPage, PROT_NONE) == 0 && ends_by(SIGSEGV, at + kPage));
    CHECK(munmap(at + 2 * kPage, kPage) == 0 && ends_by(SIGSEGV, at + 2 * kPage));
    CHECK(memcmp(at + 3 * kPage, &g_text[3 * kPage], g_bytes - 3 * kPage) == 0);
    CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0 && memcmp(at, g_text.data(), 2 * kPage) == 0);
  });
  check("over_another", [] {
    char* const at = map(g_whole + kPage, PROT_READ, MAP_PRIVATE);
    CHECK(mmap(at + kPage, g_whole, PROT_READ, MAP_PRIVATE | MAP_FIXED, g_file, 0) == at + kPage);
    CHECK(shows(at + kPage) && memcmp(at, g_text.data(), kPage) == 0);
    CHECK(mmap(at, g_whole + kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED, g_file, kPage) == at);
    CHECK(shows(at, kPage) && ends_by(SIGBUS, at + g_whole));
  });
  check("populated", [] {
    const char* const at = map(g_whole + kPage, PROT_READ, MAP_PRIVATE | MAP_POPULATE);
    CHECK(shows(at) && ends_by(SIGBUS, at + g_whole));
  });
  return finish();
}
