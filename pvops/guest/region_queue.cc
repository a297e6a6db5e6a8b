#include "pvops/guest/region_queue.h"

#include "pvops/guest/arch/x86_64/shared_memory.h"
#include "pvops/guest/hypercalls.h"

namespace nopte::pv {
namespace {

constexpr u64 kLiveMap = static_cast<u64>(abi::Call::region_map);
constexpr u64 kLiveProtect = static_cast<u64>(abi::Call::region_protect);

constinit bool g_offered = false;
constinit std::array<u64, abi::kQueueBlocks> g_blocks{};  // their addresses; 0: there is none

abi::RegionQueue* queue_of(SpaceId space) {
  const u32 id = static_cast<u32>(space);
  const u32 block = id / abi::kQueuesPerBlock;
  if (block >= abi::kQueueBlocks || g_blocks[block] == 0) [[unlikely]]
    return nullptr;
  return shared_memory<abi::RegionQueue>(g_blocks[block] + id % abi::kQueuesPerBlock * abi::kQueueBytes);
}

abi::QueuedCall& slot(abi::RegionQueue& queue, u32 index) { return queue.calls[index % abi::kQueueSlots]; }

// False: there is no room, or no credit.
[[gnu::always_inline]] inline bool put(SpaceId space, u64 call, u32 cost,
                                       const std::array<u64, 5>& arguments) {
  abi::RegionQueue* const queue = queue_of(space);
  if (queue == nullptr ||
      static_cast<i32>(abi::shared_load(queue->limit) - queue->cost) < static_cast<i32>(cost)) {
    return false;
  }
  const u32 tail = queue->tail;
  const u32 queued = tail - abi::shared_load(queue->head);
  // The last one's place, when it was cancelled.
  abi::QueuedCall* put = &slot(*queue, tail - 1);
  const bool again = queued != 0 && put->state == abi::kQueuedCancelled &&
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

void use_region_queues(bool offered) {
  g_offered = offered;
  g_blocks = {};
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
  return put(space, kLiveMap, abi::kQueuedMapCost,
             {region.range.begin.value(), region.range.pages(), flags, static_cast<u32>(region.object),
              region.object_page});
}

bool queue_protect(SpaceId space, VaRange range, Perm perm) {
  return range.pages() <= abi::kQueuedProtectPages &&
         put(space, kLiveProtect, abi::kQueuedProtectCost,
             {range.begin.value(), range.pages(), perm.bits(), 0, 0});
}

bool cancel_map(SpaceId space, VaRange range) {
  abi::RegionQueue* const queue = queue_of(space);
  if (queue == nullptr) return false;
  const u32 head = abi::shared_load(queue->head);
  for (u32 index = queue->tail; index != head;) {
    abi::QueuedCall& put = slot(*queue, --index);
    if (put.state == kLiveProtect) break;  // it may be of a region that is queued before it
    if (put.arguments[0] != range.begin.value() || put.arguments[1] != range.pages() ||
        !abi::shared_change(put.state, kLiveMap, abi::kQueuedCancelled)) {
      continue;
    }
    queue->cost -= abi::kQueuedMapCost;
    return true;
  }
  return false;
}

}  // namespace nopte::pv
