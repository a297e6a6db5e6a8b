// seccomp(2): which system calls a thread may make. Mode and filters are a part of who a thread is
// (credentials.h), so that fork and exec keep them. Threads without any pay nothing: until the first one asks
// for it no call is looked at (syscall.cc).
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/core/ref.h"
#include "guest-mm/kernel/rights/classic_bpf.h"

namespace nopte::guest {

struct SyscallArgs;

enum class Seccomp : u8 { kOff, kStrict, kFilter };  // as prctl(PR_GET_SECCOMP) tells them

// One program, and those that were there before it.
class SeccompFilter : public HeapAllocated {
 public:
  SeccompFilter(HeapBuffer code, u32 count, Ref<SeccompFilter> before)
      : code_(std::move(code)),
        count_(count),
        depth_(before ? before->depth_ + 1 : 1),
        path_(count + (before ? before->path_ + kEach : 0)),
        before_(std::move(before)) {}

  // What the strictest of them says.
  [[nodiscard]] u32 decide(const CallData& data) const;
  [[nodiscard]] u32 depth() const { return depth_; }
  // How long all of them are, as Linux counts it.
  static constexpr u32 kMostOnPath = 32768;
  [[nodiscard]] u32 path() const { return path_; }
  // Whether it is that one, or was there before it.
  [[nodiscard]] bool comes_before(const SeccompFilter* other) const;

  void retain() { ++references_; }
  void release();

 private:
  static constexpr u32 kEach = 4;
  [[nodiscard]] std::span<const BpfInstruction> program() const {
    return {reinterpret_cast<const BpfInstruction*>(code_.data()), count_};
  }

  u64 references_ = 1;
  HeapBuffer code_;
  u32 count_;
  u32 depth_;
  u32 path_;
  Ref<SeccompFilter> before_;
};

// Whether the call is to be made; if not, `answer` is what it answers. May end the thread.
bool seccomp_allows(const SyscallArgs& args, i64& answer);
// From now on each call is looked at (syscall.cc).
void check_calls_by_seccomp();
// prctl(PR_SET_SECCOMP)
i64 set_seccomp(u64 mode, u64 program_address);

}  // namespace nopte::guest
