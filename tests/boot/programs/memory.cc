// Linux's memory calls as a program sees them: mmap, munmap, mprotect, SIGSEGV with its details. The same
// on Linux.
#include <stdint.h>
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/memory_checks.h"

namespace {

// The flags column of /proc/self/maps for an address; empty when it is not mapped.
bool maps_flags(const char* at, char flags[5]) {
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(maps != nullptr);
  char line[512];
  bool found = false;
  while (!found && fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin, end;
    CHECK(sscanf(line, "%lx-%lx %4s", &begin, &end, flags) == 3);
    found = begin <= uintptr_t(at) && uintptr_t(at) < end;
  }
  fclose(maps);
  return found;
}

// --- mmap ----------------------------------------------------------------------------------------------

void anonymous_memory_is_zero() {
  char* at = map(3);
  CHECK(zero(at, 3 * kPage));
  memset(at, 7, 3 * kPage);
  CHECK(at[3 * kPage - 1] == 7);
  unmap(at, 3);
  at = map(3);
  CHECK(zero(at, 3 * kPage));
  unmap(at, 3);
}

void mmap_errors() {
  const auto attempt = [](void* hint, size_t bytes, int flags, int file, off_t offset) {
    return mmap(hint, bytes, PROT_READ, flags, file, offset);
  };
  CHECK_ERRNO(attempt(nullptr, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
  CHECK_ERRNO(attempt(nullptr, kPage, MAP_ANONYMOUS, -1, 0), EINVAL);
  CHECK_ERRNO(attempt(nullptr, kPage, MAP_PRIVATE, -1, 0), EBADF);
  CHECK_ERRNO(syscall(SYS_mmap, 0, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 100), EINVAL);
  CHECK_ERRNO(
      attempt(reinterpret_cast<void*>(0x10000001), kPage, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
      EINVAL);
  CHECK_ERRNO(attempt(nullptr, SIZE_MAX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
  CHECK_ERRNO(attempt(nullptr, size_t(1) << 47, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), ENOMEM);
  CHECK_ERRNO(attempt(reinterpret_cast<void*>(0x7ffffffff000), 2 * kPage,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              ENOMEM);
  CHECK_ERRNO(attempt(reinterpret_cast<void*>(0xffff800000000000), kPage,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              ENOMEM);
}

void fixed_replaces() {
  char* at = map(4);
  memset(at, 1, 4 * kPage);
  CHECK(mmap(at + kPage, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        at + kPage);
  CHECK(at[0] == 1 && at[3 * kPage] == 1);
  CHECK(zero(at + kPage, 2 * kPage));
  unmap(at, 4);
}

void fixed_noreplace_refuses() {
  char* at = map(3);
  unmap(at + kPage, 1);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  CHECK_ERRNO(mmap(at + kPage, 2 * kPage, PROT_READ, flags, -1, 0), EEXIST);
  CHECK(mmap(at + kPage, kPage, PROT_READ, flags, -1, 0) == at + kPage);
  unmap(at, 3);
}

void free_hint_is_taken() {
  char* at = map(8);
  unmap(at, 8);
  CHECK(mmap(at + 2 * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at + 2 * kPage);
  void* other = mmap(at + 2 * kPage, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(other != MAP_FAILED && other != at + 2 * kPage);
  unmap(static_cast<char*>(other), 1);
  unmap(at + 2 * kPage, 1);
}

void* at_hint(uintptr_t hint) {
  return mmap(reinterpret_cast<void*>(hint), kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void unaligned_hint_is_rounded_down() {
  char* at = map(8);
  unmap(at, 8);
  CHECK(at_hint(uintptr_t(at) + 2 * kPage + 5) == at + 2 * kPage);
  unmap(at + 2 * kPage, 1);
  void* anywhere = at_hint(5);
  CHECK(anywhere != MAP_FAILED && uintptr_t(anywhere) > 0x10000);
  unmap(static_cast<char*>(anywhere), 1);
}

// A stack below 1 MiB: its guard gap ends at address 0.
void hint_near_a_low_stack_is_a_hint() {
  constexpr uintptr_t kStack = 0x20000;
  void* const stack = reinterpret_cast<void*>(kStack);
  CHECK(mmap(stack, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
             -1, 0) == stack);
  for (const uintptr_t hint : {kStack, kStack - kPage, kStack - 2 * kPage}) {
    void* const got = at_hint(hint);
    CHECK(got != MAP_FAILED && uintptr_t(got) > kStack);
    unmap(static_cast<char*>(got), 1);
  }
  CHECK(munmap(stack, kPage) == 0);
}

void populate() {
  void* at =
      mmap(nullptr, 64 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  CHECK(at != MAP_FAILED);
  CHECK(zero(static_cast<char*>(at), 64 * kPage));
  unsigned char resident[64];
  CHECK(mincore(at, 64 * kPage, resident) == 0);
  for (unsigned char page : resident) CHECK((page & 1) == 1);
  unmap(static_cast<char*>(at), 64);
  CHECK_ERRNO(mincore(at, kPage, resident), ENOMEM);
}

void untouched_pages_are_not_resident() {
  constexpr size_t kPages = 200;
  char* const at = map(kPages);
  unsigned char resident[kPages];
  memset(resident, 0xff, sizeof resident);
  at[5 * kPage] = 1;
  at[150 * kPage] = 1;
  CHECK(mincore(at, kPages * kPage, resident) == 0);
  for (size_t page = 0; page < kPages; ++page) CHECK(resident[page] == (page == 5 || page == 150));
  CHECK(madvise(at + 5 * kPage, kPage, MADV_DONTNEED) == 0);
  CHECK(mincore(at, 8 * kPage, resident) == 0);
  CHECK(resident[5] == 0);
  unmap(at, kPages);

  // A page of shared memory is there for whoever shows it.
  const int file = memfd_create("shared", 0);
  CHECK(file >= 0 && ftruncate(file, 4 * kPage) == 0 && pwrite(file, "x", 1, kPage) == 1);
  void* const shown = mmap(nullptr, 4 * kPage, PROT_READ, MAP_PRIVATE, file, 0);
  CHECK(shown != MAP_FAILED && mincore(shown, 4 * kPage, resident) == 0);
  CHECK(resident[0] == 0 && resident[1] == 1 && resident[2] == 0 && resident[3] == 0);
  unmap(static_cast<char*>(shown), 4);
  close(file);
}

void too_much_is_refused() {
  size_t total_kib = 0;
  if (FILE* info = fopen("/proc/meminfo", "r")) {
    char line[256];
    unsigned long kib;
    while (fgets(line, sizeof line, info) != nullptr) {
      if (sscanf(line, "MemTotal: %lu", &kib) == 1 || sscanf(line, "SwapTotal: %lu", &kib) == 1) {
        total_kib += kib;
      }
    }
    fclose(info);
  }
  CHECK(total_kib != 0);
  int mode = 0;
  if (FILE* overcommit = fopen("/proc/sys/vm/overcommit_memory", "r")) {
    if (fscanf(overcommit, "%d", &mode) != 1) mode = 0;
    fclose(overcommit);
  }
  if (mode == 1) return;  // this system grants everything
  const size_t bytes = (total_kib << 10) + (size_t(1) << 30);
  CHECK_ERRNO(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
  void* at = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  CHECK(munmap(at, bytes) == 0);
  // Each request alone is granted.
  void* parts[3];
  for (void*& part : parts) {
    part = mmap(nullptr, (total_kib << 10) / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(part != MAP_FAILED);
  }
  for (void* part : parts) CHECK(munmap(part, (total_kib << 10) / 2) == 0);
}

void maps_tell_the_truth() {
  char* at = map(3);
  CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0);
  char flags[5];
  CHECK(maps_flags(at, flags) && strcmp(flags, "rw-p") == 0);
  CHECK(maps_flags(at + kPage, flags) && strcmp(flags, "r--p") == 0);
  unmap(at + 2 * kPage, 1);
  CHECK(!maps_flags(at + 2 * kPage, flags));
  unmap(at, 2);
  at = map(1, PROT_READ, MAP_SHARED);
  CHECK(maps_flags(at, flags) && strcmp(flags, "r--s") == 0);
  unmap(at, 1);
}

// --- munmap, mprotect ----------------------------------------------------------------------------------

void unmapped_pages_fault() {
  char* at = map(3);
  memset(at, 1, 3 * kPage);
  unmap(at + kPage, 1);
  CHECK(segv(fault_of_read(at + kPage + 5), SEGV_MAPERR, at + kPage + 5));
  CHECK(segv(fault_of_write(at + kPage), SEGV_MAPERR, at + kPage));
  CHECK(at[kPage - 1] == 1 && at[2 * kPage] == 1);
  unmap(at, 3);
  CHECK(!readable(at) && !readable(at + 2 * kPage));
}

void munmap_errors() {
  char* at = map(2);
  CHECK_ERRNO(munmap(at + 1, kPage), EINVAL);
  CHECK_ERRNO(munmap(at, 0), EINVAL);
  CHECK_ERRNO(munmap(at, size_t(1) << 48), EINVAL);
  unmap(at, 2);
  unmap(at, 2);
}

void every_other_page() {
  constexpr size_t kPages = 64;
  char* at = map(kPages);
  for (size_t i = 0; i < kPages; ++i) at[i * kPage] = char(i);
  for (size_t i = 1; i < kPages; i += 2) unmap(at + i * kPage, 1);
  for (size_t i = 0; i < kPages; ++i) {
    if (i % 2 == 0) {
      CHECK(at[i * kPage] == char(i));
    } else {
      CHECK(!readable(at + i * kPage));
    }
  }
  CHECK(mmap(at, kPages * kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
  CHECK(zero(at, kPages * kPage));
  unmap(at, kPages);
}

void protection_faults() {
  char* at = map(3);
  memset(at, 9, 3 * kPage);
  CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0);
  CHECK(at[kPage] == 9);
  CHECK(segv(fault_of_write(at + kPage + 8), SEGV_ACCERR, at + kPage + 8));
  CHECK(fault_of_write(at + 2 * kPage).signal == 0);
  CHECK(mprotect(at + kPage, kPage, PROT_NONE) == 0);
  CHECK(segv(fault_of_read(at + kPage), SEGV_ACCERR, at + kPage));
  CHECK(mprotect(at + kPage, kPage, PROT_READ | PROT_WRITE) == 0);
  CHECK(at[kPage] == 9);
  CHECK(fault_of_write(at + kPage).signal == 0);
  unmap(at, 3);
}

void mprotect_errors() {
  char* at = map(4);
  CHECK_ERRNO(mprotect(at + 1, kPage, PROT_READ), EINVAL);
  CHECK(mprotect(at, 0, PROT_READ) == 0);
  CHECK_ERRNO(mprotect(at, kPage, 0x1000), EINVAL);
  unmap(at + 2 * kPage, 1);
  // What lies before the hole is changed.
  CHECK_ERRNO(mprotect(at, 4 * kPage, PROT_READ), ENOMEM);
  CHECK(fault_of_write(at).signal == SIGSEGV);
  CHECK(fault_of_write(at + kPage).signal == SIGSEGV);
  CHECK(fault_of_write(at + 3 * kPage).signal == 0);
  unmap(at, 4);
  CHECK_ERRNO(mprotect(at, kPage, PROT_READ), ENOMEM);
}

void execution_needs_the_right() {
  constexpr unsigned char kReturn42[] = {0xb8, 42, 0, 0, 0, 0xc3};
  char* at = map(1);
  memcpy(at, kReturn42, sizeof kReturn42);
  const auto call = reinterpret_cast<int (*)()>(at);
  CHECK(segv(fault_of([call] { call(); }), SEGV_ACCERR, at));
  CHECK(mprotect(at, kPage, PROT_READ | PROT_EXEC) == 0);
  CHECK(call() == 42);
  CHECK(fault_of_write(at).signal == SIGSEGV);
  unmap(at, 1);
}

void bad_addresses_give_efault() {
  int file = new_file(1);
  char* at = map(3);
  CHECK(mprotect(at + kPage, kPage, PROT_READ) == 0);
  unmap(at + 2 * kPage, 1);
  CHECK_ERRNO(pread(file, at + kPage, 10, 0), EFAULT);
  CHECK_ERRNO(pread(file, at + 2 * kPage, 10, 0), EFAULT);
  CHECK_ERRNO(pwrite(file, at + 2 * kPage, 10, 0), EFAULT);
  CHECK_ERRNO(pread(file, reinterpret_cast<void*>(0xffff800000000000), 10, 0), EFAULT);
  CHECK_ERRNO(syscall(SYS_pread64, file, 0, 10, 0), EFAULT);
  CHECK(pread(file, at, 10, 0) == 10 && at[9] == 'a');
  unmap(at, 2);
  end_file(file);
}

}  // namespace

int main() {
  start();
  check("anonymous_memory_is_zero", anonymous_memory_is_zero);
  check("mmap_errors", mmap_errors);
  check("fixed_replaces", fixed_replaces);
  check("fixed_noreplace_refuses", fixed_noreplace_refuses);
  check("free_hint_is_taken", free_hint_is_taken);
  check("unaligned_hint_is_rounded_down", unaligned_hint_is_rounded_down);
  check("hint_near_a_low_stack_is_a_hint", hint_near_a_low_stack_is_a_hint);
  check("populate", populate);
  check("untouched_pages_are_not_resident", untouched_pages_are_not_resident);
  check("too_much_is_refused", too_much_is_refused);
  check("maps_tell_the_truth", maps_tell_the_truth);
  check("unmapped_pages_fault", unmapped_pages_fault);
  check("munmap_errors", munmap_errors);
  check("every_other_page", every_other_page);
  check("protection_faults", protection_faults);
  check("mprotect_errors", mprotect_errors);
  check("execution_needs_the_right", execution_needs_the_right);
  check("bad_addresses_give_efault", bad_addresses_give_efault);
  return finish();
}
