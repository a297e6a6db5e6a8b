// What is known of every frame of one pool, and who may have the next one.
//
// Metadata is one contiguous array (24 bytes a frame, 0.6% of memory) carved from the pool itself. Frames
// that were never handed out have no initialised metadata: two boundaries, `low_` growing up and `high_`
// growing down, enclose them, so starting costs nothing per frame.
//
//   |data data data ->   never used   <- table table|        a freed frame goes back to its side's list
//
// Page tables come from the top and data from the bottom, so that a hypervisor that write-protects our
// tables can keep large mappings for the rest. Each side takes from the other when it is empty.
//
// A block is 512 data frames in a row, aligned: what a 2 MiB leaf shows. It is given whole, by its first
// frame, whose metadata is all that counts while it is whole, and comes back whole, or as the single frames
// that it has been broken into. Single frames are given and come back without a look at where they lie; when
// a block is asked for and there is none, at most 512 of those that are free are sorted by where they lie,
// and a span of 512 that is free all is a block again. What lies among tables stays single.
//
// Concurrency: none of its own; the owner of the engine serialises.
#pragma once

#include <span>

#include "native-fallback/frames/phys.h"
#include "pvops/base/panic.h"
#include "pvops/base/result.h"

namespace nopte::pt {

enum class FrameKind : u8 {
  kFree,
  kTable,   // a page table
  kAnon,    // anonymous or privately copied page: its leaf entries are the truth
  kObject,  // page of an object: the object's index is the truth
  kKernel,  // committed kernel memory
  kMeta,    // the engine's own: spaces, objects, index nodes
  kDying,   // an unlinked table that waits in a TlbBatch for the flush
  kBlock,   // the first frame of a whole block that is anonymous memory; refs: large leaves (block.h)
  kFreeBlock,
};

inline constexpr u64 kBlockFrames = 512;

struct FrameMeta {
  FrameKind kind;
  u8 level;   // kTable: 1 (leaf) to 4 (root)
  u16 live;   // kTable: entries that are not empty; kMeta: the user's count; kAnon: CopyHistory
  u32 refs;   // data: references (leaf entries in distinct tables + object index); kTable: parents
  u64 back;   // kTable: bit g says that entries [8g, 8g+8) may be in use; kObject: ObjectId; free: next
  u64 index;  // kObject: page of the object; kTable: the sink's
};
static_assert(sizeof(FrameMeta) == 24);

class FrameTable;

// Frames in a row, linked through FrameMeta::back (number + 1; 0 ends it), each of kind `kKind`.
template <FrameKind kKind>
class FrameChain {
 public:
  [[nodiscard]] bool empty() const { return first_ == 0; }
  // `meta` is the frame's.
  inline void push(Frame frame, FrameMeta& meta);
  // Precondition: !empty().
  inline Frame pop(const FrameTable& frames);

 private:
  friend class FrameTable;
  u64 first_ = 0;
  u64 last_ = 0;
  u64 count_ = 0;
};

class FrameTable {
 public:
  static constexpr u64 kMaxRanges = 16;

  // Whose frames may come back while they cannot be written yet, and who keeps tables that were freed as they
  // are, for the next of their level.
  class TableKeeper {
   public:
    // Afterwards those that came back can be written.
    virtual void make_writable() = 0;
    // A table is freed. False: it is memory again, perhaps after make_writable().
    virtual bool keep(Frame table) = 0;
    // One that is kept, empty; none: frame 0.
    virtual Frame take(unsigned level) = 0;
    // Some that are kept, if any, are memory again, by free_kept(). False: none was.
    virtual bool give_up() = 0;

   protected:
    ~TableKeeper() = default;
  };

  constexpr FrameTable() = default;
  FrameTable(const FrameTable&) = delete;
  FrameTable& operator=(const FrameTable&) = delete;

  // Takes over `usable` (ascending, disjoint, all inside `covered`). `covered` is what metadata exists for:
  // frames outside `usable` belong to somebody else until adopted. window(f) is direct_base + f's physical
  // address and must work for every usable frame. Called once.
  // Errors: kLimit (more than kMaxRanges), kNoMemory (no range holds the metadata), kInvalid (bad ranges).
  Result<void> init(u64 direct_base, FrameRange covered, std::span<const FrameRange> usable);
  // The same memory is from now on seen at another base (natively: after leaving the boot tables).
  void rebase(u64 direct_base);

  // A frame of this kind with refs 1, everything else zero; its contents are undefined. O(1).
  // Errors: kNoMemory.
  Result<Frame> alloc(FrameKind kind) {
    if (kind != FrameKind::kTable && data_ != 0 && !slowly_) {
      const Frame frame(data_ - 1);
      FrameMeta& m = meta(frame);
      data_ = m.back;
      --free_;
      m = FrameMeta{.kind = kind, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
      return frame;
    }
    return alloc_slowly(kind);
  }
  // Back to the pool. Precondition: allocated or adopted, and no reference is left.
  void free(Frame frame) {
    FrameMeta& m = meta(frame);
    NOPTE_ASSERT(m.kind != FrameKind::kFree);
    u64& list = frame >= high_ ? tables_ : data_;
    m.kind = FrameKind::kFree;
    m.back = list;
    list = frame.number() + 1;
    ++free_;
  }
  // The same of a table that holds nothing but zeros: the next table is one of these.
  void free_zeroed(Frame table) {
    FrameMeta& m = meta(table);
    NOPTE_ASSERT(m.kind != FrameKind::kFree);
    m.kind = FrameKind::kFree;
    m.back = zeroed_;
    zeroed_ = table.number() + 1;
    ++free_;
  }
  // Of a table: free() unless it is kept, which is to be free, too.
  void free_table(Frame table) {
    if (keeper_ != nullptr && keeper_->keep(table)) [[unlikely]]
      return count_kept(table);
    free(table);
  }
  // As alloc(), a table that was kept of this level, empty, with FrameMeta::index as it was; frame 0: none.
  [[nodiscard]] Frame take_kept(unsigned level) {
    if (keeper_ == nullptr || fail_in_ != 0) [[likely]]
      return {};
    return take_kept_now(level);
  }
  // One that is kept is so no longer.
  void free_kept(Frame table) {
    meta(table).kind = FrameKind::kTable;
    --free_;
    free(table);
  }
  // Before anything else.
  void let_keep(TableKeeper& keeper) { keeper_ = &keeper; }
  // What alloc() gives next as a table, if anything, holds nothing but zeros.
  [[nodiscard]] bool next_table_is_zeroed() const { return zeroed_ != 0; }
  // A whole block, by its first frame: kind kBlock with refs 1; the others' metadata says nothing. Does a
  // bounded amount of work, and may find none where there is one. Errors: kNoMemory.
  [[gnu::cold]] Result<Frame> alloc_block();
  // Precondition: of kind kBlock, and no reference is left.
  void free_block(Frame first);
  // As free() for a whole chain of data frames, in O(1); the chain is empty afterwards.
  void free_all(FrameChain<FrameKind::kFree>& chain) {
    if (chain.empty()) return;
    meta(Frame(chain.last_ - 1)).back = data_;
    data_ = chain.first_;
    free_ += chain.count_;
    chain = {};
  }
  // Before the next frame is given, the keeper makes those that came back writable.
  void ask_first() {
    unwritable_ = keeper_;
    slowly_ = true;
  }
  // Makes a covered frame outside `usable` part of the pool, in use as `kind` with refs 1, contents kept.
  void adopt(Frame frame, FrameKind kind);

  [[nodiscard]] FrameRange covered() const { return covered_; }
  [[nodiscard]] bool covers(Frame frame) const { return covered_.contains(frame); }
  // Precondition: covered, and allocated or adopted.
  [[nodiscard]] FrameMeta& meta(Frame frame) const { return metas()(frame); }
  // The same, for a loop that stores where the compiler cannot see that this is not changed.
  class Metas {
   public:
    explicit Metas(u64 base) : base_(base) {}
    [[nodiscard]] FrameMeta& operator()(Frame frame) const {
      return *reinterpret_cast<FrameMeta*>(base_ + (frame.number() * sizeof(FrameMeta)));
    }

   private:
    u64 base_;
  };
  [[nodiscard]] Metas metas() const { return Metas(metas_); }
  [[nodiscard]] u8* window(Frame frame) const {
    return reinterpret_cast<u8*>(direct_base_ + (frame.number() << kPageShift));
  }
  // The frame that a pointer into a window lies in.
  [[nodiscard]] Frame frame_of(const void* address) const {
    return Frame((reinterpret_cast<u64>(address) - direct_base_) >> kPageShift);
  }

  [[nodiscard]] u64 total_frames() const { return total_; }
  [[nodiscard]] u64 free_frames() const { return free_; }

  // Tests: the nth allocation from now fails (1: the next; 0: none), and with `kFrom` all after it.
  enum class Failing { kOne, kFrom };
  void fail_allocation(u64 nth, Failing failing = Failing::kOne) {
    fail_in_ = nth;
    failing_ = failing;
    slowly_ = nth != 0 || unwritable_ != nullptr;
  }
  // Tests: an allocation is to fail, and has not yet.
  [[nodiscard]] bool fails_later() const { return fail_in_ != 0; }

  // Tests: whether the frame, or the block that it begins, is among the next `most` that were given back as
  // data and are handed out again. (Frames that wait in a chain are as free as these by their metadata.)
  [[nodiscard]] bool handed_out_soon(Frame frame, unsigned most) const {
    const auto is_among = [&](u64 next) {
      for (unsigned left = most; next != 0 && left != 0; next = meta(Frame(next - 1)).back, --left) {
        if (Frame(next - 1) == frame) return true;
      }
      return false;
    };
    return is_among(data_) || is_among(blocks_);
  }

  // Tests and invariant checks: visit(Frame) for every free one that holds nothing but zeros.
  template <class Visit>
  void for_each_zeroed(Visit visit) const {
    for (u64 next = zeroed_; next != 0; next = meta(Frame(next - 1)).back) visit(Frame(next - 1));
  }
  // Tests and invariant checks: visit(Frame, FrameMeta&) for every frame that is or was in use; of a whole
  // block the first alone.
  template <class Visit>
  void for_each_touched(Visit visit) const {
    for (u64 i = 0; i < range_count_; ++i) {
      const FrameRange range = ranges_[i];
      for (Frame f = range.begin; f < range.end; f = f + 1) {
        if (untouched(f)) continue;
        visit(f, meta(f));
        if (is_block(f)) f = f + (kBlockFrames - 1);
      }
    }
  }

 private:
  // Free frames of one aligned span of 512 that were sorted there.
  struct Span {
    u64 first;  // linked as the lists below
    u32 next;   // of the spans that may have some: its number + 1
    u16 frames;
    bool listed;
  };

  [[nodiscard]] bool untouched(Frame frame) const { return low_ <= frame && frame < high_; }
  [[nodiscard]] bool is_block(Frame frame) const {
    return meta(frame).kind == FrameKind::kBlock || meta(frame).kind == FrameKind::kFreeBlock;
  }
  [[nodiscard]] Span& span(u64 number) const { return *(reinterpret_cast<Span*>(spans_) + number); }
  [[nodiscard]] u64 span_of(Frame frame) const {
    return frame.number() / kBlockFrames - covered_.begin.number() / kBlockFrames;
  }
  [[nodiscard]] u64 span_count() const {
    return covered_.empty() ? 0 : span_of(Frame(covered_.end.number() - 1)) + 1;
  }
  bool refuses();
  Result<Frame> alloc_slowly(FrameKind kind);
  Result<Frame> alloc_specially(FrameKind kind);
  Result<Frame> alloc_now(FrameKind kind);
  [[gnu::noinline]] void count_kept(Frame table);
  [[gnu::noinline]] Frame take_kept_now(unsigned level);
  [[gnu::cold, gnu::noinline]] Result<Frame> take_another(FrameKind kind);
  Frame give(Frame frame, FrameKind kind);
  void push_data(Frame frame);
  void push_block(Frame first);
  void sort_some();
  bool unsort();
  bool take_low_block(Frame& out);
  bool break_free_block();
  [[nodiscard]] bool pop(u64& list, Frame& out) const;
  bool take_low(Frame& out);
  bool take_high(Frame& out);

  u64 direct_base_ = 0;
  u64 metas_ = 0;  // address of the (imaginary) metadata of frame 0
  u64 spans_ = 0;  // address of span 0, which the first covered frame lies in
  FrameRange covered_;
  FrameRange metadata_;
  FrameRange ranges_[kMaxRanges];
  u64 range_count_ = 0;
  u64 low_range_ = 0;   // range that low_ lies in
  u64 high_range_ = 0;  // range that high_ - 1 lies in
  Frame low_;           // first frame never used
  Frame high_;          // one past the last frame never used
  // Each side's frames that were given back, linked through FrameMeta::back (number + 1; 0 ends it).
  u64 data_ = 0;
  u64 tables_ = 0;
  u64 zeroed_ = 0;  // tables that hold nothing but zeros
  u64 blocks_ = 0;  // whole blocks
  u64 sorted_ = 0;  // spans that may have free frames: number + 1
  u64 total_ = 0;
  u64 free_ = 0;
  TableKeeper* keeper_ = nullptr;
  TableKeeper* unwritable_ = nullptr;  // or null: nothing is
  u64 fail_in_ = 0;
  Failing failing_ = Failing::kOne;
  bool slowly_ = false;  // one of these has something to say
};

template <FrameKind kKind>
inline void FrameChain<kKind>::push(Frame frame, FrameMeta& meta) {
  meta.kind = kKind;
  meta.back = first_;
  first_ = frame.number() + 1;
  if (last_ == 0) last_ = first_;
  ++count_;
}

template <FrameKind kKind>
inline Frame FrameChain<kKind>::pop(const FrameTable& frames) {
  const Frame frame(first_ - 1);
  first_ = frames.meta(frame).back;
  if (first_ == 0) last_ = 0;
  --count_;
  return frame;
}

}  // namespace nopte::pt
