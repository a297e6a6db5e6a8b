#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {
namespace {

constexpr u64 kMinNodes = 16;

constexpr u64 round_up(u64 value, u64 unit) { return (value + unit - 1) / unit; }

}  // namespace

u64 ShadowTables::metadata_bytes(u64 guest_frames, u32 tables) {
  const u64 spans = round_up(guest_frames, kFramesPerSpan);
  const u64 giants = round_up(spans, kSpansPerGiant);
  return (u64{tables} + 1) * sizeof(ShadowPage) + guest_frames * sizeof(FrameState) +
         spans * sizeof(SpanState) + giants * sizeof(PageIndex) + sizeof(RefPool::Node) +
         kMinNodes * sizeof(RefPool::Node);
}

Result<void> ShadowTables::init(const GuestMemory& guest, const ShadowPool& pool) {
  const bool aligned = (guest.host.value() & (pt::entry_bytes(2) - 1)) == 0 && pool.host.page_aligned() &&
                       reinterpret_cast<u64>(pool.metadata.data()) % 8 == 0;
  if (!aligned || guest.frames == 0 || guest.frames >= FrameState::kProtected ||
      pool.tables >= kMaxShadowPages) {
    return Fail(Status::kInvalid);
  }
  if (pool.tables < kMinTables || pool.metadata.size() < metadata_bytes(guest.frames, pool.tables)) {
    return Fail(Status::kNoMemory);
  }
  guest_ = guest;
  pool_ = pool;

  u8* at = pool.metadata.data();
  const auto carve = [&at]<class T>(T*& out, u64 count) {
    out = reinterpret_cast<T*>(at);
    at += count * sizeof(T);
  };
  const u64 spans = round_up(guest.frames, kFramesPerSpan);
  carve(pages_, u64{pool.tables} + 1);
  carve(frames_, guest.frames);
  carve(spans_, spans);
  carve(giants_, round_up(spans, kSpansPerGiant));
  // The rest: nodes of the reverse lists.
  const u64 left = static_cast<u64>(pool.metadata.data() + pool.metadata.size() - at);
  const u64 nodes = left / sizeof(RefPool::Node);
  refs_.init(
      {reinterpret_cast<RefPool::Node*>(at), nodes < RefPool::kNodeBit ? nodes : RefPool::kNodeBit - 1});
  free_tables_ = pool.tables;
  return {};
}

}  // namespace nopte::hv
