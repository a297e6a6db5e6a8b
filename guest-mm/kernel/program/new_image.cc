#include "guest-mm/kernel/program/new_image.h"

#include <cstring>
#include <utility>

#include "guest-mm/kernel/files/names/mounts.h"
#include "guest-mm/kernel/files/names/permission.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/process/robust_list.h"

namespace nopte::guest {

namespace {

Result<void> map_segment(AddressSpace& space, const Image& image, const Ref<MemoryObject>& object,
                         const elf::ProgramHeader& segment) {
  const elf::SegmentMemory memory = elf::memory_of(segment);
  const u64 bias = image.layout.bias;
  if (!memory.file.empty()) {
    NOPTE_TRY(space.map({.hint = memory.file.begin + bias,
                         .bytes = memory.file.bytes(),
                         .perm = elf::segment_perm(segment),
                         .placement = Placement::kFixed,
                         .object = object,
                         .offset_bytes = segment.offset & ~kPageMask}));
  }
  if (!memory.zeros.empty()) {
    NOPTE_TRY(space.map({.hint = memory.zeros.begin + bias,
                         .bytes = memory.zeros.bytes(),
                         .perm = elf::segment_perm(segment).exec() ? kPermRWX : kPermRW,
                         .placement = Placement::kFixed}));
  }
  return {};
}

Result<void> map_image(AddressSpace& space, const Image& image) {
  auto mapped = image.file->mmap_object(kPermRX, Sharing::kPrivate);
  if (!mapped) {
    return Fail(mapped.error() == kENOMEM ? Status::kNoMemory : Status::kPermission);
  }
  const Ref<MemoryObject> object = Ref<MemoryObject>::adopt(*mapped);
  for (const elf::ProgramHeader& segment : image.segments()) {
    if (segment.type == elf::kTypeLoad) {
      NOPTE_TRY(map_segment(space, image, object, segment));
    }
  }
  return {};
}

Result<Ref<AddressSpace>> build_space(const Program& program) {
  Result<Ref<AddressSpace>> space = AddressSpace::create();
  if (!space) {
    return space;
  }
  if (const AddressSpace* const before = current().space;
      before != nullptr && before->large_leaves_barred()) {
    (*space)->bar_large_leaves(true);
  }
  (*space)->set_mmap_top(program.places.mmap_top);
  NOPTE_TRY(map_image(**space, program.main));
  if (program.interpreter.file) {
    NOPTE_TRY(map_image(**space, program.interpreter));
  }
  NOPTE_TRY(
      (*space)->map_stack(program.places.stack_top, program.main.layout.exec_stack ? kPermRWX : kPermRW));
  (*space)->set_limits(current_process().limits->of_space());
  const elf::Layout& layout = program.main.layout;
  (*space)->set_brk_start(layout.span.end + layout.bias + program.places.heap_gap_bytes);
  return space;
}

// Where a segment is longer in memory than in the file, all that follows the file's bytes in their last page
// reads as zero, as on Linux: ld.so takes what lies behind its bss for zero pages.
Result<void> zero_tails(const Image& image) {
  const std::span<const elf::ProgramHeader> segments = image.segments();
  for (u64 index = 0; index < segments.size(); ++index) {
    if (!elf::has_zeros_behind_file(segments[index])) {
      continue;
    }
    if (const VaRange tail = elf::tail_of(segments, index); !tail.empty()) {
      NOPTE_TRY(arch::zero_user(tail.begin + image.layout.bias, tail.bytes()));
    }
  }
  return {};
}

void set_comm(NewImage& image, std::string_view path) {
  if (const std::size_t slash = path.rfind('/'); slash != std::string_view::npos) {
    path.remove_prefix(slash + 1);
  }
  path = path.substr(0, sizeof(image.comm) - 1);
  std::memcpy(image.comm, path.data(), path.size());
}

}  // namespace

IdentityFacts told_of(const ExecIdentity& identity) {
  const Identity& who = identity.identity;
  return {.user = who.user.real,
          .effective_user = who.user.effective,
          .group = who.group.real,
          .effective_group = who.group.effective,
          .secure = identity.secure};
}

i64 make_image(Program& program, std::string_view path, ProgramArguments& arguments, NewImage& image) {
  Thread& self = current();
  const auto fails_late = [&image](Status status) {
    image.too_late = status != Status::kNoMemory && status != Status::kLimit;
    return image.too_late ? -kENOEXEC : to_errno(status);
  };
  if (program.fatal()) {
    return fails_late(Status::kInvalid);
  }
  Result<Ref<AddressSpace>> space = build_space(program);
  if (!space) {
    return fails_late(space.error());
  }
  const Image& interpreter = program.interpreter;
  const files::Inode& owner = *program.main.file->inode();
  image.owner = {files::mode_for_exec(owner), owner.uid, owner.gid};
  image.identity = identity_after_exec(identity(), image.owner);
  image.readable = files::permission(owner, files::kMayRead) == 0 &&
                   (!interpreter.file || files::permission(*interpreter.file->inode(), files::kMayRead) == 0);
  const ImageFacts facts{.program_headers = program.main.layout.headers_at,
                         .program_header_count = program.main.header.program_header_count,
                         .entry = program.main.entry(),
                         .interpreter_base = interpreter.file ? interpreter.layout.bias : 0,
                         .identity = told_of(image.identity)};
  const Places& places = program.places;
  const Result<InitialStack> stack =
      stage_initial_stack(arguments, facts, path, places.stack_top - places.stack_gap_bytes);
  if (!stack) {
    return errno_of_arguments(stack.error());
  }
  image.owes = self.space != nullptr && owes_words(self);
  activate_space(space->get());
  const Result<void> written = arch::copy_to_user(stack->begin, stack->image, stack->bytes);
  Result<void> zeroed = written;
  if (zeroed) {
    zeroed = zero_tails(program.main);
  }
  if (zeroed && interpreter.file) {
    zeroed = zero_tails(interpreter);
  }
  if (!zeroed) {
    activate_space(self.space);
    return !written && written.error() == Status::kBadAddress ? -kE2BIG : fails_late(zeroed.error());
  }
  image.space = std::move(*space);
  image.executable = Ref<files::Inode>(program.main.file->inode());
  image.entry = Gva{program.entry()};
  image.stack = stack->begin;
  image.identity_at = stack->identity_at;
  set_comm(image, path);
  return 0;
}

}  // namespace nopte::guest
