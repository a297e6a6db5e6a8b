#include "pvops/guest/region_queue.h"

#include "pvops/guest/arch/x86_64/shared_memory.h"
#include "pvops/guest/hypercalls.h"

namespace nopte::pv {
namespace {

constexpr u64 kLiveMap = static_cast<u64>(abi::Call::region_map);
constexpr u64 kLiveUnmap = static_cast<u64>(abi::Call::region_unmap);
constexpr u64 kLiveProtect = static_cast<u64>(abi::Call::region_protect);

constinit bool g_offered = false;
constinit bool g_words = false;
constinit std::array<u64, abi::kQueueBlocks> g_blocks{};  // their addresses; 0: there is none

// The space that was asked for last, and its queue: it is asked for again.
constinit SpaceId g_last_space = SpaceId::kKernel;
constinit abi::RegionQueue* g_last_queue = nullptr;

[[gnu::noinline]] abi::RegionQueue* find_queue(SpaceId space) {
  const u32 id = static_cast<u32>(space);
  const u32 block = id / abi::kQueuesPerBlock;
  if (block >= abi::kQueueBlocks || g_blocks[block] == 0) return nullptr;
  g_last_space = space;
  g_last_queue =
      shared_memory<abi::RegionQueue>(g_blocks[block] + id % abi::kQueuesPerBlock * abi::kQueueBytes);
  return g_last_queue;
}
// Null: there is none.
[[gnu::always_inline]] inline abi::RegionQueue* queue_of(SpaceId space) {
  return space == g_last_space && g_last_queue != nullptr ? g_last_queue : find_queue(space);
}

abi::QueuedCall& slot(abi::RegionQueue& queue, u32 index) { return queue.calls[index % abi::kQueueSlots]; }

// False: there is no room, or no credit.
[[gnu::always_inline]] inline bool put(abi::RegionQueue* queue, u64 call, u32 cost,
                                       const std::array<u64, 5>& arguments) {
  if (queue == nullptr ||
      static_cast<i32>(abi::shared_load(queue->limit) - queue->cost) < static_cast<i32>(cost)) {
    return false;
  }
  const u32 tail = queue->tail;
  const u32 queued = tail - abi::shared_load(queue->head);
  // The last one's place, when it was cancelled.
  abi::QueuedCall* put = &slot(*queue, tail - 1);
  const bool again = queued != 0 && abi::shared_glance(put->state, abi::kQueuedCancelled) &&
                     abi::shared_change(put->state, abi::kQueuedCancelled, abi::kQueuedFilling);
  if (!again) {
    if (queued == abi::kQueueSlots) return false;
    put = &slot(*queue, tail);
  }
  put->arguments = arguments;
  queue->cost += cost;
  abi::shared_store(put->state, call);
  if (!again) abi::shared_store(queue->tail, tail + 1);
  return true;
}

}  // namespace

void use_region_queues(bool offered, bool words) {
  g_offered = offered;
  g_words = words;
  g_blocks = {};
  g_last_queue = nullptr;
  want_queue(SpaceId::kKernel);
}

void want_queue(SpaceId space) {
  const u32 block = static_cast<u32>(space) / abi::kQueuesPerBlock;
  if (!g_offered || block >= abi::kQueueBlocks || g_blocks[block] != 0) [[likely]]
    return;
  const auto made = call(abi::region_queues_args{block});
  if (made.status == Status::kOk) g_blocks[block] = made.value;
}

bool queue_map(SpaceId space, const RegionSpec& region, u64 flags) {
  return put(queue_of(space), kLiveMap, abi::kQueuedMapCost,
             {region.range.begin.value(), region.range.pages(), flags, static_cast<u32>(region.object),
              region.object_page});
}

bool queue_protect(SpaceId space, VaRange range, Perm perm) {
  return range.pages() <= abi::kQueuedProtectPages &&
         put(queue_of(space), kLiveProtect, abi::kQueuedProtectCost,
             {range.begin.value(), range.pages(), perm.bits(), 0, 0});
}

// What the hypervisor says is untouched, its unmap is put. False: it does not say so, or there is no room;
// then nothing is installed there any more, and it is to be called.
[[gnu::noinline]] static bool put_unmap(abi::RegionQueue& queue, u64& word, VaRange range) {
  return g_words && range.page_aligned() && range.pages() <= abi::kMostWordPages &&
         abi::shared_change(word, abi::untouched_word(range), abi::dying_word(abi::untouched_word(range))) &&
         put(&queue, kLiveUnmap, abi::kQueuedUnmapCost, {range.begin.value(), range.pages(), 0, 0, 0});
}

bool queue_unmap(SpaceId space, VaRange range) {
  abi::RegionQueue* const queue = queue_of(space);
  if (queue == nullptr) return false;
  const u32 head = abi::shared_load(queue->head);
  for (u32 index = queue->tail; index != head;) {
    abi::QueuedCall& put = slot(*queue, --index);
    if (abi::shared_glance(put.state, kLiveProtect)) break;  // it may be of a region that is queued before it
    if (put.arguments[0] != range.begin.value() || put.arguments[1] != range.pages() ||
        !abi::shared_change(put.state, kLiveMap, abi::kQueuedCancelled)) {
      continue;
    }
    queue->cost -= abi::kQueuedMapCost;
    return true;
  }
  u64& word = queue->words[abi::word_index(range.begin)];
  // Mostly it is of another range, which shows at its first page.
  return (abi::shared_load(word) ^ range.begin.page() << 28) >> 28 == 0 && put_unmap(*queue, word, range);
}

}  // namespace nopte::pv
