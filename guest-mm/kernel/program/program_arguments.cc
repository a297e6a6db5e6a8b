#include "guest-mm/kernel/program/program_arguments.h"

#include <cstring>

#include "guest-mm/core/space_limits.h"
#include "guest-mm/kernel/process/process.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kKeptPages = 16;
constexpr u64 kPointerBytes = sizeof(u64);
// The strings, and the image of the stack, which holds them and pointers.
constexpr u64 kMostStaged = 4 * ProgramArguments::most_bytes(kUnlimited);

struct StagingArea {
  char* data = nullptr;
  u64 pages = 0;
};
StagingArea g_area;

void free_area() {
  if (g_area.data != nullptr) {
    mm_ops().kmem_free(Gva{reinterpret_cast<u64>(g_area.data)}, g_area.pages);
    g_area = {};
  }
}

}  // namespace

ProgramArguments::ProgramArguments()
    : most_(most_bytes(g_current != nullptr ? current_process().limits->of_space().stack_bytes
                                            : SpaceLimits().stack_bytes)) {}

ProgramArguments::~ProgramArguments() {
  if (g_area.pages > kKeptPages) {
    free_area();
  }
}

const char* ProgramArguments::data() const { return g_area.data; }

// Makes room for `bytes` more.
Result<void> ProgramArguments::reserve(u64 bytes) {
  if (bytes > kMostStaged || used_ + bytes > kMostStaged) {
    return Fail(Status::kLimit);
  }
  if (used_ + bytes <= pages_to_bytes(g_area.pages)) {
    return {};
  }
  u64 pages = g_area.pages == 0 ? kKeptPages : g_area.pages;
  while (pages_to_bytes(pages) < used_ + bytes) {
    pages *= 2;
  }
  const Result<Gva> grown = mm_ops().kmem_alloc(pages);
  if (!grown) {
    return Fail(grown.error());
  }
  auto* data = reinterpret_cast<char*>(grown->value());
  if (used_ != 0) {
    std::memcpy(data, g_area.data, used_);
  }
  free_area();
  g_area = {data, pages};
  return {};
}

Result<void> ProgramArguments::add(std::string_view text) {
  NOPTE_TRY(reserve(text.size() + 1));
  std::memcpy(g_area.data + used_, text.data(), text.size());
  g_area.data[used_ + text.size()] = 0;
  used_ += text.size() + 1;
  return {};
}

Result<void> ProgramArguments::add_user(Gva text) {
  for (u64 room = kPageBytes;; room *= 2) {
    NOPTE_TRY(reserve(room));
    const Result<u64> length = arch::copy_string_from_user(g_area.data + used_, text, room);
    if (length) {
      used_ += *length + 1;
      return used_ + pointers_ * kPointerBytes <= most_ ? Result<void>{} : Fail(Status::kLimit);
    }
    if (length.error() != Status::kLimit || room >= kLongestString) {
      return Fail(length.error());
    }
  }
}

Result<u64> ProgramArguments::add_user_array(Gva array, u64 skip) {
  u64 count = 0;
  if (array.value() == 0) {
    return count;
  }
  for (u64 index = 0;; ++index) {
    u64 pointer = 0;
    NOPTE_TRY(arch::copy_from_user(&pointer, array + index * kPointerBytes, sizeof(pointer)));
    if (pointer == 0) {
      return count;
    }
    if (index < skip) {
      continue;
    }
    ++count;
    ++pointers_;
    NOPTE_TRY(add_user(Gva{pointer}));
  }
}

Result<void*> ProgramArguments::add_space(u64 bytes) {
  constexpr u64 kAlign = 16;
  const u64 begin = (used_ + kAlign - 1) & ~(kAlign - 1);
  NOPTE_TRY(reserve(begin - used_ + bytes));
  used_ = begin + bytes;
  return g_area.data + begin;
}

}  // namespace nopte::guest
