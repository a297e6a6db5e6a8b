// Rows that clone an address space: fork, copy on write, exec.
#include "experiments/workloads/mmlat/children.h"
#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

const char* g_exec_program = "mmlat-exit";

void fork_touched(const char* name, size_t bytes) {
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  fork_exit_wait(name, scaled(5));
  unmap(memory, bytes);
}

}  // namespace

void set_exec_program(const char* path) { g_exec_program = path; }

void run_fork_small(const char* name) { fork_exit_wait(name, scaled(100)); }

void run_fork_64m(const char* name) { fork_touched(name, scaled(64) * kMiB); }
void run_fork_1g(const char* name) { fork_touched(name, scaled(1024) * kMiB); }
void run_fork_4g(const char* name) { fork_touched(name, scaled(4096) * kMiB); }

void run_cow_child(const char* name) {
  const size_t bytes = scaled(16) * kMiB;
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  // The parent waits, so the child, which measures, is the one process that can run.
  reap(spawn([&] {
    write_pages(memory, 16 * kPage, 2);
    begin_span(name);
    write_pages(memory + 16 * kPage, bytes - 16 * kPage, 2);
    end_span(bytes / kPage - 16);
  }));
  expect_pages(memory, bytes, 1);
  unmap(memory, bytes);
}

void run_cow_parent(const char* name) {
  const size_t bytes = scaled(16) * kMiB;
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  // The child takes its own copies and goes: each page is the parent's alone again, still write-protected.
  reap(spawn([&] { write_pages(memory, bytes, 2); }));
  write_pages(memory, 16 * kPage, 3);
  begin_span(name);
  write_pages(memory + 16 * kPage, bytes - 16 * kPage, 3);
  end_span(bytes / kPage - 16);
  expect_pages(memory, bytes, 3);
  unmap(memory, bytes);
}

void run_fork_exec(const char* name) {
  const uint64_t ops = scaled(100);
  const auto cycle = [] {
    reap(spawn([] {
      char* const arguments[] = {const_cast<char*>(g_exec_program), nullptr};
      char* const environment[] = {nullptr};
      execve(g_exec_program, arguments, environment);
      fail("execve of mmlat-exit, which must lie beside mmlat");
    }));
  };
  cycle();
  cycle();
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
}

}  // namespace mmlat
