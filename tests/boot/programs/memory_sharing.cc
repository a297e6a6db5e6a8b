// Memory that processes and files share: copy on write, shared and private mappings, SIGBUS past a file's
// end. Runs the same on Linux.
#include "tests/boot/programs/memory_checks.h"

namespace {

// --- fork ----------------------------------------------------------------------------------------------

void copies_are_made_on_write() {
  char* at = map(2);
  at[0] = 1;
  at[kPage] = 2;
  CHECK(in_child([at] {
    if (at[0] != 1 || at[kPage] != 2) return false;
    at[0] = 100;
    return at[0] == 100;
  }));
  CHECK(at[0] == 1);
  // The other way round: the child sees what was there when it was made.
  int ready[2];
  CHECK(pipe(ready) == 0);
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) _exit(2);
    _exit(at[0] == 1 && at[kPage] == 2 ? 0 : 1);
  }
  at[0] = 50;
  at[kPage] = 60;
  CHECK(write(ready[1], "x", 1) == 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(at[0] == 50);
  close(ready[0]);
  close(ready[1]);
  unmap(at, 2);
}

void a_grandchild_has_its_own_copy() {
  char* at = map(1);
  at[0] = 1;
  CHECK(in_child([at] {
    at[0] = 2;
    const bool grandchild = in_child([at] {
      at[0] = 3;
      return true;
    });
    return grandchild && at[0] == 2;
  }));
  CHECK(at[0] == 1);
  unmap(at, 1);
}

void shared_memory_is_shared() {
  char* at = map(2, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK(zero(at, 2 * kPage));
  CHECK(in_child([at] {
    at[0] = 7;
    at[kPage] = 8;
    return true;
  }));
  CHECK(at[0] == 7 && at[kPage] == 8);
  unmap(at, 2);
}

void a_childs_unmap_is_its_own() {
  char* at = map(3);
  memset(at, 1, 3 * kPage);
  CHECK(in_child([at] {
    unmap(at + kPage, 1);
    if (mprotect(at, kPage, PROT_NONE) != 0) return false;
    return !readable(at + kPage) && !readable(at);
  }));
  CHECK(at[0] == 1 && at[kPage] == 1);
  unmap(at, 3);
}

// --- files ---------------------------------------------------------------------------------------------

void private_file_mappings() {
  int file = new_file(3);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE, 1);
  CHECK(at[0] == 'b' && at[kPage] == 'c');
  at[0] = 'X';
  char byte;
  CHECK(pread(file, &byte, 1, kPage) == 1 && byte == 'b');
  unmap(at, 2);
  at = map_file(file, 1, PROT_READ, MAP_PRIVATE, 1);
  CHECK(at[0] == 'b');
  unmap(at, 1);
  end_file(file);
}

void shared_file_mappings() {
  int file = new_file(2);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* again = map_file(file, 1, PROT_READ, MAP_PRIVATE, 1);
  at[kPage] = 'X';
  char byte;
  CHECK(pread(file, &byte, 1, kPage) == 1 && byte == 'X');
  CHECK(again[0] == 'X');
  CHECK(pwrite(file, "Y", 1, 5) == 1);
  CHECK(at[5] == 'Y');
  CHECK(close(file) == 0);
  CHECK(at[kPage] == 'X');
  unmap(at, 2);
  unmap(again, 1);
  file = open(g_path, O_RDONLY);
  CHECK(file >= 0);
  CHECK(pread(file, &byte, 1, kPage) == 1 && byte == 'X');
  end_file(file);
}

void an_unlinked_file_stays_mapped() {
  int file = new_file(1);
  char* at = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
  end_file(file);
  CHECK(at[0] == 'a');
  at[0] = 'Z';
  CHECK(at[0] == 'Z');
  unmap(at, 1);
}

void file_open_modes_are_respected() {
  int file = new_file(1);
  CHECK(close(file) == 0);
  file = open(g_path, O_RDONLY);
  CHECK(file >= 0);
  CHECK_ERRNO(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EACCES);
  char* shared = map_file(file, 1, PROT_READ, MAP_SHARED);
  CHECK_ERRNO(mprotect(shared, kPage, PROT_READ | PROT_WRITE), EACCES);
  char* copy = map_file(file, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  copy[0] = 'q';
  CHECK(shared[0] == 'a');
  unmap(shared, 1);
  unmap(copy, 1);
  CHECK(close(file) == 0);
  file = open(g_path, O_WRONLY);
  CHECK(file >= 0);
  CHECK_ERRNO(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, 0), EACCES);
  CHECK_ERRNO(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file, 0), EACCES);
  end_file(file);
}

void past_the_end_of_a_file() {
  int file = new_file(3);
  CHECK(ftruncate(file, kPage + 100) == 0);
  char* at = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  CHECK(at[kPage + 99] == 'b' && zero(at + kPage + 100, kPage - 100));
  Fault fault = fault_of_read(at + 2 * kPage);
  CHECK(fault.signal == SIGBUS && fault.code == BUS_ADRERR && fault.address == at + 2 * kPage);
  CHECK(ftruncate(file, 4 * kPage) == 0);
  CHECK(zero(at + 2 * kPage, 2 * kPage));
  unmap(at, 4);
  end_file(file);
}

void truncation_takes_pages_away() {
  int file = new_file(4);
  char* shared = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
  char* copy = map_file(file, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  shared[3 * kPage] = 'S';
  copy[3 * kPage] = 'C';
  copy[0] = 'D';
  CHECK(ftruncate(file, kPage) == 0);
  CHECK(fault_of_read(shared + 3 * kPage).signal == SIGBUS);
  CHECK(fault_of_write(shared + kPage).signal == SIGBUS);
  CHECK(fault_of_read(copy + 3 * kPage).signal == SIGBUS);
  CHECK(shared[0] == 'a' && copy[0] == 'D');
  char buffer[8];
  CHECK(ftruncate(file, 4 * kPage) == 0);
  CHECK(pread(file, buffer, 8, 3 * kPage) == 8 && zero(buffer, 8));
  CHECK(shared[3 * kPage] == 0);
  unmap(shared, 4);
  unmap(copy, 4);
  end_file(file);
}

void a_system_call_past_the_end_gives_efault() {
  int file = new_file(1);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
  int out[2];
  CHECK(pipe(out) == 0);
  CHECK_ERRNO(write(out[1], at + kPage, 10), EFAULT);
  CHECK(write(out[1], at, 10) == 10);
  close(out[0]);
  close(out[1]);
  unmap(at, 2);
  end_file(file);
}

void mappings_of_a_file_move() {
  int file = new_file(4);
  char* at = map_file(file, 2, PROT_READ, MAP_SHARED, 1);
  void* moved = mremap(at, 2 * kPage, 3 * kPage, MREMAP_MAYMOVE);
  CHECK(moved != MAP_FAILED);
  const char* to = static_cast<char*>(moved);
  CHECK(to[0] == 'b' && to[kPage] == 'c' && to[2 * kPage] == 'd');
  unmap(static_cast<char*>(moved), 3);
  end_file(file);
}

void dev_zero_is_anonymous_memory() {
  const int file = open("/dev/zero", O_RDWR);
  CHECK(file >= 0);
  char* at = map_file(file, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK(zero(at, 2 * kPage));
  at[0] = 1;
  CHECK(at[0] == 1);
  CHECK(close(file) == 0);
  unmap(at, 2);
}

}  // namespace

int main() {
  start();
  check("copies_are_made_on_write", copies_are_made_on_write);
  check("a_grandchild_has_its_own_copy", a_grandchild_has_its_own_copy);
  check("shared_memory_is_shared", shared_memory_is_shared);
  check("a_childs_unmap_is_its_own", a_childs_unmap_is_its_own);
  check("private_file_mappings", private_file_mappings);
  check("shared_file_mappings", shared_file_mappings);
  check("an_unlinked_file_stays_mapped", an_unlinked_file_stays_mapped);
  check("file_open_modes_are_respected", file_open_modes_are_respected);
  check("past_the_end_of_a_file", past_the_end_of_a_file);
  check("truncation_takes_pages_away", truncation_takes_pages_away);
  check("a_system_call_past_the_end_gives_efault", a_system_call_past_the_end_gives_efault);
  check("mappings_of_a_file_move", mappings_of_a_file_move);
  check("dev_zero_is_anonymous_memory", dev_zero_is_anonymous_memory);
  return finish();
}
