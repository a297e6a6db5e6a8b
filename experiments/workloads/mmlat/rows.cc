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
};

}  // namespace

std::span<const Row> all_rows() { return kRows; }

}  // namespace mmlat
