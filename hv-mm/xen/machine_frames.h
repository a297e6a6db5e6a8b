// The guest's machine frames and what is known of each. A frame outside the range belongs to somebody else:
// with one guest, the range says who owns a frame.
#pragma once

#include <span>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

// What a frame is used as. It changes only while no use is left.
enum class FrameType : u8 { kNone = 0, kL1 = 1, kL2 = 2, kL3 = 3, kL4 = 4, kWritable = 5 };

constexpr FrameType table_type(unsigned level) { return static_cast<FrameType>(level); }
constexpr bool is_table(FrameType type) { return type >= FrameType::kL1 && type <= FrameType::kL4; }
constexpr unsigned level_of(FrameType type) { return static_cast<unsigned>(type); }

struct FrameInfo {
  u32 references = 0;  // entries of validated tables that name it, its pin, and the base pointer
  u32 uses = 0;        // of these, the ones that use it as `type`
  u32 stamp = 0;       // the flush clock when the last use ended
  u16 validated = 0;   // a table's entries below it are counted: all of them, but while work is unfinished
  FrameType type = FrameType::kNone;  // kept when the last use ends
  bool pinned = false;
};
static_assert(sizeof(FrameInfo) == 16);

class MachineFrames {
 public:
  // References of one frame cannot exceed the entries of all tables.
  static constexpr u64 kMaxFrames = u64{1} << 22;

  MachineFrames() = default;
  // `base` is where the hypervisor sees the first frame. Precondition: range.frames() == infos.size(), at
  // most kMaxFrames.
  MachineFrames(pt::FrameRange range, u8* base, std::span<FrameInfo> infos)
      : begin_(range.begin.number()), count_(range.frames()), base_(base), infos_(infos.data()) {}

  [[nodiscard]] bool owns(u64 frame) const { return frame - begin_ < count_; }
  // Preconditions: owns(frame).
  [[nodiscard]] FrameInfo& info(u64 frame) const { return infos_[frame - begin_]; }
  [[nodiscard]] u8* pointer(u64 frame) const { return base_ + pages_to_bytes(frame - begin_); }

  [[nodiscard]] u64 begin() const { return begin_; }
  [[nodiscard]] u64 count() const { return count_; }

 private:
  u64 begin_ = 0;
  u64 count_ = 0;
  u8* base_ = nullptr;
  FrameInfo* infos_ = nullptr;
};

}  // namespace nopte::hv
