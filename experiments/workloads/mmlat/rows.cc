#include "experiments/workloads/mmlat/rows.h"

#include <array>

namespace mmlat {
namespace {

constexpr std::array kRows = {
    Row{"getpid", "getpid (control)", run_getpid},
    Row{"map-unmap", "mmap+munmap 1 page, no touch", run_map_unmap},
    Row{"map-touch-unmap-bare", "mmap+touch+munmap, tables come and go", run_map_touch_unmap_bare},
    Row{"map-touch-unmap-kept", "mmap+touch+munmap, tables stay", run_map_touch_unmap_kept},
    Row{"anon-touch", "anonymous 64 MiB first touch, per page", run_anon_touch},
    Row{"anon-unmap", "anonymous 64 MiB munmap, per page", run_anon_unmap},
    Row{"populate", "MAP_POPULATE 16 MiB, per page", run_populate},
    Row{"protect-page", "mprotect RO/RW flip 1 page + touches", run_protect_page},
    Row{"protect-mib", "mprotect flip 1 MiB + touches", run_protect_mib},
    Row{"protect-none", "mprotect 1 MiB to NONE and back + touches", run_protect_none},
    Row{"segv-barrier", "SIGSEGV write barrier", run_segv_barrier},
    Row{"fork-small", "fork+exit+wait, small", run_fork_small},
    Row{"fork-64m", "fork+exit+wait, 64 MiB touched", run_fork_64m},
    Row{"cow-child", "copy-on-write, child writes, per page", run_cow_child},
    Row{"cow-parent", "copy-on-write, parent rewrites, per page", run_cow_parent},
    Row{"fork-exec", "fork+exec tiny+wait", run_fork_exec},
    Row{"shared-read", "shared file 16 MiB read touch, per page", run_shared_read},
    Row{"shared-write", "shared file write touch, per page", run_shared_write},
    Row{"shared-unmap", "shared file munmap, per page", run_shared_unmap},
    Row{"private-write", "MAP_PRIVATE file write, per page", run_private_write},
    Row{"pipe-pingpong", "pipe ping-pong round trip", run_pipe_pingpong},
    Row{"ring-hop", "ring of 8 processes, per hop", run_ring_hop},
    Row{"sparse-touch", "one touch per 2 MiB", run_sparse_touch},
    Row{"sparse-unmap", "munmap of that, per page", run_sparse_unmap},
    Row{"dontneed", "MADV_DONTNEED 16 MiB, per page", run_dontneed},
    Row{"touch-again", "touch again, per page", run_touch_again},
    Row{"brk", "brk 1 MiB grow+touch+shrink, per page", run_brk},
    Row{"mremap-move", "mremap move 4 MiB + touch, per page", run_mremap_move},
    Row{"touch-strided", "first touch, every 16th, then the rest", run_touch_strided},
    Row{"touch-random", "first touch in random order, per page", run_touch_random},
    Row{"churn-128m", "1 MiB alloc+touch+free ×128, per page", run_churn_128m},
    Row{"dense-64m", "64 MiB first touch, 2 MiB leaves wanted, per page", run_dense_64m},
    Row{"map-10", "mmap of a page, 10 regions", run_map_10},
    Row{"map-1k", "mmap of a page, 1,000 regions", run_map_1k},
    Row{"map-60k", "mmap of a page, 60,000 regions", run_map_60k},
    Row{"protect-10", "mprotect of a page, 10 regions", run_protect_10},
    Row{"protect-1k", "mprotect of a page, 1,000 regions", run_protect_1k},
    Row{"protect-60k", "mprotect of a page, 60,000 regions", run_protect_60k},
    Row{"unmap-10", "munmap of a page, 10 regions", run_unmap_10},
    Row{"unmap-1k", "munmap of a page, 1,000 regions", run_unmap_1k},
    Row{"unmap-60k", "munmap of a page, 60,000 regions", run_unmap_60k},
    Row{"fault-10", "first touch of a page, 10 regions", run_fault_10},
    Row{"fault-1k", "first touch of a page, 1,000 regions", run_fault_1k},
    Row{"fault-60k", "first touch of a page, 60,000 regions", run_fault_60k},
    Row{"fork-10", "fork+exit+wait, 10 regions", run_fork_10},
    Row{"fork-1k", "fork+exit+wait, 1,000 regions", run_fork_1k},
    Row{"fork-60k", "fork+exit+wait, 60,000 regions", run_fork_60k},
    Row{"churn-4g", "1 MiB alloc+touch+free ×4096, per page", run_churn_4g, Size::kLarge},
    Row{"dense-1g", "dense 1 GiB first touch, per page", run_dense_1g, Size::kLarge},
    Row{"fork-1g", "fork+exit+wait, 1 GiB touched", run_fork_1g, Size::kLarge},
    Row{"fork-4g", "fork+exit+wait, 4 GiB touched", run_fork_4g, Size::kLarge},
};

}  // namespace

std::span<const Row> all_rows() { return kRows; }

}  // namespace mmlat
