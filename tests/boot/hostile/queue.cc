// The queues of region calls (pvops/abi/region_queue.h), of a guest that keeps none of their rules: indices
// that wrap and lie, slots full of nonsense, calls that may not be queued, objects and addresses that are not
// there, credits that nobody gave, words that say anything. What it may reach afterwards is what it was
// promised, and its memory is all there.
#include "pvops/abi/region_queue.h"
#include "pvops/mm_ops.h"
#include "tests/boot/hostile/hostile.h"

using namespace hostile;
using pv::vmmcall;

namespace {

constexpr u64 kBase = 0x2000'0000'0000, kNeverMapped = 0x3000'0000'0000;
constexpr u64 kRounds = 6000;
constexpr u64 kNoSpace = 77;
u64 g_calls = 0;

u64 random_word() {
  static u64 state = 0x9e37'79b9'7f4a'7c15;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
u64 nasty() { return kNastyValues[random_word() % kNastyValues.size()]; }

pv::HypercallResult call(abi::Call number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
  ++g_calls;
  const auto result = vmmcall(number, a0, a1, a2, a3, a4, 0);
  if (static_cast<u64>(result.status) > static_cast<u64>(Status::kLimit))
    check("status of a call after a queue", "", 0, static_cast<u64>(result.status));
  return result;
}

void fill(abi::QueuedCall& slot, u64 object) {
  constexpr u64 kMap = static_cast<u64>(abi::Call::region_map);
  switch (random_word() % 6) {
    case 0:  // as it should be, mostly
      slot = {kMap,
              {kBase + random_word() % 64 * kPageBytes, 1 + random_word() % 4, random_word() % 16,
               random_word() % 2 * object, 0}};
      break;
    case 1:
      slot = {kMap, {nasty(), nasty(), nasty(), nasty(), nasty()}};
      break;
    case 2:
      slot = {random_word() % 80, {nasty(), nasty(), nasty(), nasty(), nasty()}};
      break;
    case 3:
      slot = {static_cast<u64>(abi::Call::region_protect),
              {kBase + random_word() % 64 * kPageBytes, 1 + random_word() % 40, random_word() % 8, 0, 0}};
      break;
    case 4:
      slot = {static_cast<u64>(abi::Call::region_unmap),
              {kBase + random_word() % 64 * kPageBytes, 1 + random_word() % 4, 0, 0, 0}};
      break;
    default:
      slot = {nasty(), {nasty(), nasty(), nasty(), nasty(), nasty()}};
      if (random_word() % 4 == 0) slot.state = abi::kQueuedCancelled;
      if (random_word() % 64 == 0) slot.state = abi::kQueuedFilling;
  }
}

void scribble(abi::RegionQueue& queue, u64 object) {
  const u64 what = random_word();
  if (what % 8 == 0) queue.tail = static_cast<u32>(nasty());
  if (what % 8 == 1) queue.head = static_cast<u32>(nasty());
  if (what % 8 == 2) queue.limit = static_cast<u32>(nasty());
  if (what % 8 == 3) queue.cost = static_cast<u32>(nasty());
  if (what % 8 == 4) queue.tail = queue.head - 1;
  if (what % 8 >= 5) {
    const VaRange range =
        VaRange::of_pages(Gva(kBase + random_word() % 64 * kPageBytes), 1 + random_word() % 4);
    u64& word = queue.words[abi::word_index(range.begin)];
    word = what % 8 == 5 ? abi::dying_word(word) : what % 8 == 6 ? abi::untouched_word(range) : nasty();
  }
  for (u64 n = what / 8 % 20; n != 0; --n) fill(queue.calls[queue.tail++ % abi::kQueueSlots], object);
}

// Something that the hypervisor takes what is queued at.
void poke(u64 space) {
  switch (random_word() % 6) {
    case 0:
      call(abi::Call::space_activate, 0);
      call(abi::Call::space_activate, space);
      break;
    case 1:
      call(abi::Call::region_unmap, space, kBase + random_word() % 64 * kPageBytes, 1 + random_word() % 8);
      break;
    case 2:
      call(abi::Call::region_protect, space, kBase + random_word() % 64 * kPageBytes, 1, random_word() % 8);
      break;
    case 3:
      call(abi::Call::region_map, space, kBase + random_word() % 64 * kPageBytes, 1, 3);
      break;
    case 4:
      load(kWindowRange.begin.value() + random_word() % 4 * kPageBytes);
      break;
    default:
      store(kBase + random_word() % 64 * kPageBytes, 1);
  }
  check("a page that was never promised", "", kPageFault, load(kNeverMapped));
}

abi::RegionQueue& queue_of(u64 block, u64 space) {
  return *reinterpret_cast<abi::RegionQueue*>(block + space % abi::kQueuesPerBlock * abi::kQueueBytes);
}

u64 round() {
  const u64 block = call(abi::Call::region_queues, 0).value;
  const u64 object = call(abi::Call::object_create, 4).value;
  const u64 space = call(abi::Call::space_create).value;
  const u64 other = call(abi::Call::space_create).value;
  call(abi::Call::space_activate, space);

  abi::RegionQueue& queue = queue_of(block, space);
  queue.calls[queue.tail % abi::kQueueSlots] = {static_cast<u64>(abi::Call::region_map), {kBase, 1, 3, 0, 0}};
  ++queue.tail;
  check("what is queued in order", "", kCompleted, store(kBase, 1));
  // What is installed is not unmapped in a queue.
  queue.words[abi::word_index(Gva(kBase))] =
      abi::dying_word(abi::untouched_word(VaRange::of_pages(Gva(kBase), 1)));
  queue.calls[queue.tail % abi::kQueueSlots] = {static_cast<u64>(abi::Call::region_unmap),
                                                {kBase, 1, 0, 0, 0}};
  ++queue.tail;
  call(abi::Call::region_resident, space, kBase + 64 * kPageBytes, 1);
  check("an unmap of what is installed, queued", "", queue.tail, queue.head);
  check("what it was of", "", kCompleted, store(kBase, 2));

  for (u64 n = 0; n < kRounds; ++n) {
    scribble(queue, object);
    if (n % 4 == 0) scribble(queue_of(block, other), object);
    if (n % 4 == 1) scribble(queue_of(block, 0), object);
    if (n % 64 == 2) {
      for (u64& word : *reinterpret_cast<std::array<u64, abi::kQueueBytes / 8>*>(&queue)) word = nasty();
    }
    poke(space);
    if (n % 256 == 0) {
      call(abi::Call::region_unmap, space, kUserRange.begin.value(), kUserRange.pages());
      call(abi::Call::region_unmap, 0, kWindowRange.begin.value(), kWindowRange.pages());
    }
  }
  check("kmem_free of the queues", "", static_cast<u64>(Status::kInvalid),
        static_cast<u64>(call(abi::Call::kmem_free, block, abi::kQueueBlockPages).status));
  queue_of(block, 0).tail = queue_of(block, 0).head;
  queue_of(block, 0).calls = {};
  const auto switched = [](u64 to, u64 gone) {
    return static_cast<u64>(call(abi::Call::space_switch, to, gone).status);
  };
  check("space_switch from a space to itself", "", static_cast<u64>(Status::kBusy), switched(space, space));
  check("space_switch that destroys the kernel space", "", static_cast<u64>(Status::kInvalid),
        switched(other, 0));
  check("space_switch to none", "", static_cast<u64>(Status::kInvalid), switched(kNoSpace, space));
  check("space_switch that destroys none", "", static_cast<u64>(Status::kInvalid), switched(other, kNoSpace));
  check("kBusy of what runs still", "", static_cast<u64>(Status::kBusy),
        static_cast<u64>(call(abi::Call::space_destroy, space).status));
  check("space_switch", "", 0, switched(0, space));
  check("space_switch from what is gone", "", static_cast<u64>(Status::kInvalid), switched(other, space));
  call(abi::Call::region_unmap, 0, kWindowRange.begin.value(), kWindowRange.pages());
  check("space_destroy of another", "", 0, static_cast<u64>(call(abi::Call::space_destroy, other).status));
  check("object_destroy", "", 0, static_cast<u64>(call(abi::Call::object_destroy, object).status));
  return call(abi::Call::memory_info, 1).value;
}

u64 run(const abi::BootBlock&) {
  round();  // tables and records that stay
  const u64 free_before = call(abi::Call::memory_info, 1).value;
  check("free pages after another round of queues", "", free_before, round());
  return g_calls;
}

}  // namespace

[[gnu::section(".interfaces"), gnu::used]] static const Interface kQueues{
    .mode = "vma", .run = run, .calls = Interface::Calls::kNone};
