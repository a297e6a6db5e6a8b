// Rows that change rights: mprotect flips, and the write barrier of a garbage collector.
#include <csignal>

#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

// To `rights` and back, with the touches that each allows.
void flip(const char* name, size_t bytes, int rights, uint64_t ops) {
  Bytes memory = map_anonymous(bytes);
  write_pages(memory, bytes, 1);
  const auto cycle = [&] {
    protect(memory, bytes, rights);
    if (rights != PROT_NONE) read_pages(memory, bytes);
    protect(memory, bytes, PROT_READ | PROT_WRITE);
    write_pages(memory, bytes, 2);
  };
  cycle();
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
  expect_pages(memory, bytes, 2);
  unmap(memory, bytes);
}

Bytes g_barrier_page;
volatile sig_atomic_t g_barrier_hits;

void on_barrier(int, siginfo_t* info, void*) {
  if (info->si_addr != plain(g_barrier_page)) fail("SIGSEGV at another address");
  g_barrier_hits = g_barrier_hits + 1;
  protect(g_barrier_page, kPage, PROT_READ | PROT_WRITE);
}

}  // namespace

void run_protect_page(const char* name) { flip(name, kPage, PROT_READ, scaled(1'000)); }

void run_protect_mib(const char* name) { flip(name, kMiB, PROT_READ, scaled(50)); }

void run_protect_none(const char* name) { flip(name, kMiB, PROT_NONE, scaled(50)); }

void run_segv_barrier(const char* name) {
  const uint64_t ops = scaled(1'000);
  struct sigaction action{};
  struct sigaction before{};
  action.sa_sigaction = on_barrier;
  action.sa_flags = SA_SIGINFO;
  expect(sigaction(SIGSEGV, &action, &before) == 0, "sigaction");
  g_barrier_page = map_anonymous(kPage);
  *g_barrier_page = 1;
  const auto cycle = [] {
    protect(g_barrier_page, kPage, PROT_READ);
    *g_barrier_page = 2;
  };
  cycle();
  g_barrier_hits = 0;
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
  expect(static_cast<uint64_t>(g_barrier_hits) == ops, "the barrier was not hit once per write");
  unmap(g_barrier_page, kPage);
  sigaction(SIGSEGV, &before, nullptr);
}

}  // namespace mmlat
