// What each operation does. Pages are counted from the arena's start, descriptors from kDescriptors.
#include "tests/oracle/operations.h"

#include <sys/stat.h>

#include <algorithm>

#include "tests/oracle/actors.h"

namespace oracle {
namespace {

using Numbers = const int64_t*;

constexpr uint8_t kReturn = 0xc3;  // the instruction
constexpr int64_t kWordBytes = 8;

int64_t at(int64_t page, int64_t offset = 0) { return kArenaBase + page * kPage + offset; }
int64_t descriptor(int64_t slot) { return slot < 0 ? -1 : kDescriptors + slot; }
void result(int64_t value) { shared->add_result(value); }

// Puts what a call opened to where the program names it.
int64_t place(int64_t opened, int64_t slot, int64_t flags = 0) {
  if (opened < 0) return opened;
  const int64_t moved = call(SYS_dup3, opened, descriptor(slot), flags);
  call(SYS_close, opened);
  return moved;
}

// What the kernel placed outside of the arena goes at once: where it was is nobody's promise.
void mapped(int64_t address, int64_t pages) {
  result(address);
  const bool elsewhere =
      address > 0 && (address < kArenaBase || address >= kArenaBase + 2 * kArenaPages * kPage);
  if (elsewhere) call(SYS_munmap, address, pages * kPage);
}

// mmap PAGE PAGES PROT FLAGS DESCRIPTOR OFFSET: PAGE -1 is no hint, OFFSET in pages.
void do_mmap(Numbers n, int) {
  mapped(call(SYS_mmap, n[0] < 0 ? 0 : at(n[0]), n[1] * kPage, n[2], n[3], descriptor(n[4]), n[5] * kPage),
         n[1]);
}
void do_munmap(Numbers n, int) { result(call(SYS_munmap, at(n[0]), n[1] * kPage)); }
void do_mprotect(Numbers n, int) { result(call(SYS_mprotect, at(n[0]), n[1] * kPage, n[2])); }
void do_madvise(Numbers n, int) { result(call(SYS_madvise, at(n[0]), n[1] * kPage, n[2])); }
void do_msync(Numbers n, int) { result(call(SYS_msync, at(n[0]), n[1] * kPage, n[2])); }
void do_mlock(Numbers n, int) { result(call(SYS_mlock2, at(n[0]), n[1] * kPage, n[2])); }
void do_munlock(Numbers n, int) { result(call(SYS_munlock, at(n[0]), n[1] * kPage)); }
// mremap PAGE OLD_PAGES NEW_PAGES FLAGS NEW_PAGE. What a fixed one that fails may have unmapped
// ("mremap-fails" of known.py) goes.
void do_mremap(Numbers n, int) {
  const int64_t moved = call(SYS_mremap, at(n[0]), n[1] * kPage, n[2] * kPage, n[3], at(n[4]));
  mapped(moved, n[2]);
  if (!is_raw && moved < 0 && (n[3] & MREMAP_FIXED) != 0) {
    call(SYS_munmap, at(n[4]), n[2] * kPage);
    if (n[1] > n[2]) call(SYS_munmap, at(n[0] + n[2]), (n[1] - n[2]) * kPage);
  }
}
// The answers alone: what is resident of a file is each kernel's affair.
void do_mincore(Numbers n, int) {
  static unsigned char pages[2 * kArenaPages];
  result(call(SYS_mincore, at(n[0]), n[1] * kPage, address_of(pages)));
}
int64_t first_break;
int64_t heap() { return (first_break + kPage - 1) / kPage * kPage; }
// brk BYTES: so many above what it was at first.
void do_brk(Numbers n, int) { result(call(SYS_brk, heap() + n[0]) - heap()); }

// True when nothing was met.
bool tell(const Access& access, int64_t base = 0) {
  if (access.signal == 0) return true;
  shared->add(" signal %d code %d", access.signal, access.code);
  if (base != 0) {
    shared->add(" heap+%ld", access.address - base);
  } else {
    shared->add_address(access.address);
  }
  return false;
}
void do_load(Numbers n, int) {
  const Access access = load(at(n[0], n[1]));
  if (tell(access)) result(access.value);
}
void do_store(Numbers n, int) {
  if (tell(store(at(n[0], n[1]), static_cast<uint8_t>(n[2])))) result(0);
}
void do_heap_load(Numbers n, int) {
  const Access access = load(heap() + n[0]);
  if (tell(access, heap())) result(access.value);
}
void do_heap_store(Numbers n, int) {
  if (tell(store(heap() + n[0], static_cast<uint8_t>(n[1])), heap())) result(0);
}
// Calls a page, which is "return" or not to be executed at all.
void do_execute(Numbers n, int) {
  const Access first = load(at(n[0]));
  if (first.signal == 0 && first.value != kReturn) {
    shared->add(" not code");
  } else if (tell(execute(at(n[0])))) {
    result(0);
  }
}
// fill PAGE PAGES VALUE: each page's first and last byte.
void do_fill(Numbers n, int) {
  for (int64_t page = n[0]; page < n[0] + n[1]; ++page) {
    if (!tell(store(at(page), static_cast<uint8_t>(n[2]))) ||
        !tell(store(at(page, kPage - 1), static_cast<uint8_t>(n[2])))) {
      return;
    }
  }
  result(0);
}
// sum PAGE PAGES: a sum of all bytes of each page.
void do_sum(Numbers n, int) {
  for (int64_t page = n[0]; page < n[0] + n[1]; ++page) {
    if (!tell(load(at(page)))) return;
    uint64_t sum = 0;
    const auto* const words = reinterpret_cast<const volatile uint64_t*>(at(page));
    for (int64_t word = 0; word < kPage / kWordBytes; ++word) sum = sum * 31 + words[word];
    shared->add(" %lx", sum);
  }
}
void do_maps(Numbers, int) { list_mappings(); }

void do_memfd(Numbers n, int) { result(place(call(SYS_memfd_create, address_of("m"), n[1]), n[0])); }
// open SLOT FILE FLAGS
void do_open(Numbers n, int) {
  const char name[] = {'f', static_cast<char>('0' + n[1]), 0};
  result(place(call(SYS_open, address_of(name), n[2], 0600), n[0]));
}
void do_pipe(Numbers n, int) {
  int ends[2];
  const int64_t made = call(SYS_pipe2, address_of(ends), O_NONBLOCK);
  if (made < 0) return result(made);
  result(place(ends[0], n[0]));
  result(place(ends[1], n[1]));
}
void do_close(Numbers n, int) { result(call(SYS_close, descriptor(n[0]))); }
void do_dup(Numbers n, int) { result(call(SYS_dup3, descriptor(n[0]), descriptor(n[1]), 0)); }
void do_ftruncate(Numbers n, int) { result(call(SYS_ftruncate, descriptor(n[0]), n[1])); }
void do_fallocate(Numbers n, int) { result(call(SYS_fallocate, descriptor(n[0]), n[1], n[2], n[3])); }
void do_lseek(Numbers n, int) { result(call(SYS_lseek, descriptor(n[0]), n[1], n[2])); }
void do_seal(Numbers n, int) { result(call(SYS_fcntl, descriptor(n[0]), F_ADD_SEALS, n[1])); }
// read SLOT PAGE OFFSET BYTES, pread has the file's offset too
void do_read(Numbers n, int) { result(call(SYS_read, descriptor(n[0]), at(n[1], n[2]), n[3])); }
// What the buffer of a write meets; one that is good, nothing.
Access met_by(Numbers n) {
  for (int64_t byte = n[2]; byte < n[2] + n[3] + kPage; byte += kPage) {
    const Access met = load(at(n[1], std::min(byte, n[2] + std::max<int64_t>(n[3] - 1, 0))));
    if (met.signal != 0) return met;
  }
  return {};
}
int64_t size_of(int64_t slot) {
  struct stat found = {};
  return call(SYS_fstat, descriptor(slot), address_of(&found)) == 0 && S_ISREG(found.st_mode) ? found.st_size
                                                                                              : INT64_MAX;
}
// Whether Linux's versions and the guest agree about a write at `place`.
bool is_agreed(Numbers n, int64_t place) {
  const Access met = met_by(n);
  if (is_raw || met.signal == 0) return true;
  const bool is_sealed = call(SYS_fcntl, descriptor(n[0]), F_GET_SEALS) > 0;  // "write-sealed"
  if (place <= size_of(n[0]) && !is_sealed) return true;                      // "write-behind"
  tell(met);
  return false;
}
void do_write(Numbers n, int) {
  if (!is_agreed(n, call(SYS_lseek, descriptor(n[0]), 0, SEEK_CUR))) return;
  result(call(SYS_write, descriptor(n[0]), at(n[1], n[2]), n[3]));
}
void do_pread(Numbers n, int) { result(call(SYS_pread64, descriptor(n[0]), at(n[1], n[2]), n[3], n[4])); }
void do_pwrite(Numbers n, int) {
  if (is_agreed(n, n[4])) result(call(SYS_pwrite64, descriptor(n[0]), at(n[1], n[2]), n[3], n[4]));
}

constexpr OperationKind kOperations[] = {
    {"mmap", do_mmap},
    {"munmap", do_munmap},
    {"mprotect", do_mprotect},
    {"madvise", do_madvise},
    {"msync", do_msync},
    {"mlock", do_mlock},
    {"munlock", do_munlock},
    {"mremap", do_mremap},
    {"mincore", do_mincore},
    {"brk", do_brk},
    {"load", do_load},
    {"store", do_store},
    {"heap_load", do_heap_load},
    {"heap_store", do_heap_store},
    {"execute", do_execute},
    {"fill", do_fill},
    {"sum", do_sum},
    {"maps", do_maps},
    {"memfd", do_memfd},
    {"open", do_open},
    {"pipe", do_pipe},
    {"close", do_close},
    {"dup", do_dup},
    {"ftruncate", do_ftruncate},
    {"fallocate", do_fallocate},
    {"lseek", do_lseek},
    {"seal", do_seal},
    {"read", do_read},
    {"write", do_write},
    {"pread", do_pread},
    {"pwrite", do_pwrite},
    {"fork", do_fork},
    {"thread", do_thread},
    {"end", do_end},
    {"kill", do_kill},
    {"signal", do_signal},
    {"take", do_take},
    {"deliver", do_deliver},
};

}  // namespace

const OperationKind* find(std::string_view name) {
  for (const OperationKind& kind : kOperations) {
    if (name == kind.name) return &kind;
  }
  return nullptr;
}

void prepare() {
  first_break = call(SYS_brk, 0);
  prepare_first_actor();
}

void clean_up() {
  for (const char* const name : {"f0", "f1", "f2"}) call(SYS_unlink, address_of(name));
}

}  // namespace oracle
