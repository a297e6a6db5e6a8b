// The rows of mmlat. Each is independent of the others: it maps what it needs, warms up, measures one span,
// checks the memory it used and leaves nothing mapped. No row waits for time to pass.
#pragma once

#include <span>

namespace mmlat {

// Large rows need more memory than the machine usually has: they run when asked for.
enum class Size { kUsual, kLarge };

struct Row {
  const char* name;
  const char* what;
  void (*run)(const char* name);
  Size size = Size::kUsual;
};

std::span<const Row> all_rows();

// The program that the fork+exec row runs.
void set_exec_program(const char* path);

void run_getpid(const char* name);
void run_map_unmap(const char* name);
void run_map_touch_unmap_bare(const char* name);
void run_map_touch_unmap_kept(const char* name);
void run_anon_touch(const char* name);
void run_anon_unmap(const char* name);
void run_populate(const char* name);
void run_sparse_touch(const char* name);
void run_sparse_unmap(const char* name);
void run_dontneed(const char* name);
void run_touch_again(const char* name);
void run_brk(const char* name);
void run_mremap_move(const char* name);
void run_protect_page(const char* name);
void run_protect_mib(const char* name);
void run_protect_none(const char* name);
void run_segv_barrier(const char* name);
void run_fork_small(const char* name);
void run_fork_64m(const char* name);
void run_cow_child(const char* name);
void run_cow_parent(const char* name);
void run_fork_exec(const char* name);
void run_shared_read(const char* name);
void run_shared_write(const char* name);
void run_shared_unmap(const char* name);
void run_private_write(const char* name);
void run_pipe_pingpong(const char* name);
void run_ring_hop(const char* name);
void run_touch_strided(const char* name);
void run_touch_random(const char* name);
void run_dense_64m(const char* name);
void run_dense_1g(const char* name);
void run_churn_128m(const char* name);
void run_map_10(const char* name);
void run_map_1k(const char* name);
void run_map_60k(const char* name);
void run_protect_10(const char* name);
void run_protect_1k(const char* name);
void run_protect_60k(const char* name);
void run_unmap_10(const char* name);
void run_unmap_1k(const char* name);
void run_unmap_60k(const char* name);
void run_fault_10(const char* name);
void run_fault_1k(const char* name);
void run_fault_60k(const char* name);
void run_fork_10(const char* name);
void run_fork_1k(const char* name);
void run_fork_60k(const char* name);
void run_churn_4g(const char* name);
void run_fork_1g(const char* name);
void run_fork_4g(const char* name);

}  // namespace mmlat
