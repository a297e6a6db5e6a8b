#include "guest-mm/core/heap.h"

#include <array>
#include <bit>

#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

using FreeBlock = BlockChain::Block;

constexpr std::array<u16, 14> kClassBytes{16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
constexpr u64 kGranule = 16;
constexpr u64 kSmallLimit = kClassBytes.back();
constexpr unsigned kRunOrders = 5;  // runs of 1 << order pages
constexpr u64 kChunkPages = u64{1} << (kRunOrders - 1);

// Class of a size in granules, rounded up.
constexpr auto kClassOf = [] {
  std::array<u8, kSmallLimit / kGranule + 1> table{};
  unsigned index = 0;
  for (u64 granules = 0; granules < table.size(); ++granules) {
    while (kClassBytes[index] < granules * kGranule) ++index;
    table[granules] = static_cast<u8>(index);
  }
  return table;
}();

// Small classes are cut from runs big enough that little is lost at their end.
constexpr unsigned run_order_of(unsigned index) { return kClassBytes[index] <= 256 ? 0 : 2; }

struct Heap {
  std::array<FreeBlock*, kClassBytes.size()> free_blocks;
  std::array<char*, kClassBytes.size()> fresh;  // the uncut rest of the class's newest run
  std::array<char*, kClassBytes.size()> fresh_end;
  std::array<FreeBlock*, kRunOrders> free_runs;
  u64 granted_pages;
  u64 used_bytes;
};
constinit Heap g_heap{};

void* take_run(unsigned order) {
  unsigned from = order;
  while (from < kRunOrders && g_heap.free_runs[from] == nullptr) ++from;
  char* run = nullptr;
  if (from < kRunOrders) {
    FreeBlock* block = g_heap.free_runs[from];
    g_heap.free_runs[from] = block->next;
    run = reinterpret_cast<char*>(block);
  } else {
    const auto chunk = mm_ops().kmem_alloc(kChunkPages);
    if (!chunk) return nullptr;
    g_heap.granted_pages += kChunkPages;
    run = reinterpret_cast<char*>(chunk->value());
    from = kRunOrders - 1;
  }
  // The upper halves go back.
  while (from > order) {
    --from;
    auto* half = reinterpret_cast<FreeBlock*>(run + pages_to_bytes(u64{1} << from));
    half->next = g_heap.free_runs[from];
    g_heap.free_runs[from] = half;
  }
  return run;
}

void* cut_fresh(unsigned index) {
  const u64 bytes = kClassBytes[index];
  if (static_cast<u64>(g_heap.fresh_end[index] - g_heap.fresh[index]) < bytes) {
    const unsigned order = run_order_of(index);
    auto* run = static_cast<char*>(take_run(order));
    if (run == nullptr) return nullptr;
    g_heap.fresh[index] = run;
    g_heap.fresh_end[index] = run + pages_to_bytes(u64{1} << order);
  }
  return std::exchange(g_heap.fresh[index], g_heap.fresh[index] + bytes);
}

unsigned order_of(u64 pages) { return static_cast<unsigned>(std::bit_width(pages - 1)); }

}  // namespace

void* heap_alloc(u64 bytes) {
  if (bytes <= kSmallLimit) [[likely]] {
    const unsigned index = kClassOf[(bytes + kGranule - 1) / kGranule];
    void* block = g_heap.free_blocks[index];
    if (block != nullptr) [[likely]] {
      g_heap.free_blocks[index] = static_cast<FreeBlock*>(block)->next;
    } else {
      block = cut_fresh(index);
      if (block == nullptr) return nullptr;
    }
    g_heap.used_bytes += kClassBytes[index];
    return block;
  }
  if (bytes > (u64{1} << 46)) return nullptr;
  const u64 pages = bytes_to_pages(bytes);
  if (pages <= kChunkPages) {
    const unsigned order = order_of(pages);
    void* run = take_run(order);
    if (run != nullptr) g_heap.used_bytes += pages_to_bytes(u64{1} << order);
    return run;
  }
  const auto grant = mm_ops().kmem_alloc(pages);
  if (!grant) return nullptr;
  g_heap.granted_pages += pages;
  g_heap.used_bytes += pages_to_bytes(pages);
  return reinterpret_cast<void*>(grant->value());
}

void heap_free(void* block, u64 bytes) {
  if (block == nullptr) return;
  auto* free_block = static_cast<FreeBlock*>(block);
  if (bytes <= kSmallLimit) [[likely]] {
    const unsigned index = kClassOf[(bytes + kGranule - 1) / kGranule];
    free_block->next = g_heap.free_blocks[index];
    g_heap.free_blocks[index] = free_block;
    g_heap.used_bytes -= kClassBytes[index];
    return;
  }
  const u64 pages = bytes_to_pages(bytes);
  if (pages <= kChunkPages) {
    const unsigned order = order_of(pages);
    free_block->next = g_heap.free_runs[order];
    g_heap.free_runs[order] = free_block;
    g_heap.used_bytes -= pages_to_bytes(u64{1} << order);
    return;
  }
  mm_ops().kmem_free(Gva{reinterpret_cast<u64>(block)}, pages);
  g_heap.granted_pages -= pages;
  g_heap.used_bytes -= pages_to_bytes(pages);
}

BlockChain heap_take(u64 bytes, u64 most) {
  const unsigned index = kClassOf[(bytes + kGranule - 1) / kGranule];
  BlockChain taken = BlockChain::take(g_heap.free_blocks[index], most);
  while (taken.count() != most) {
    void* const block = cut_fresh(index);
    if (block == nullptr) break;
    taken.push(block);
  }
  g_heap.used_bytes += taken.count() * kClassBytes[index];
  return taken;
}

void heap_give(BlockChain blocks, u64 bytes) {
  const unsigned index = kClassOf[(bytes + kGranule - 1) / kGranule];
  g_heap.used_bytes -= blocks.count() * kClassBytes[index];
  blocks.put_before(g_heap.free_blocks[index]);
}

HeapInfo heap_info() { return {g_heap.granted_pages, g_heap.used_bytes}; }

}  // namespace nopte::guest
