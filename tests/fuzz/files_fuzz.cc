// Everything that is read from a file before it is trusted: bundle, guest image, hypervisor options, cpio,
// ELF programs, and the instruction bytes of an exit. The first byte says which.
#include <algorithm>
#include <cstring>
#include <vector>

#include "guest-mm/kernel/files/archive/cpio.h"
#include "guest-mm/kernel/program/elf.h"
#include "hv-mm/boot/guest_image.h"
#include "hv-mm/boot/options.h"
#include "hv-mm/bundle.h"
#include "hv-mm/container/decode.h"
#include "pvops/base/panic.h"
#include "pvops/mm_ops.h"

using namespace nopte;

namespace {

bool inside(std::span<const u8> part, std::span<const u8> whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void bundle(std::span<const u8> bytes) {
  const auto parsed = hv::Bundle::parse(bytes);
  if (!parsed) return;
  for (const char* name : {"guest", "initramfs"}) {
    if (const auto part = parsed->find(name)) NOPTE_ASSERT(inside(*part, bytes));
  }
}

void image(std::span<const u8> bytes) {
  const auto parsed = hv::GuestImage::parse(bytes);
  if (!parsed) return;
  for (const hv::GuestSegment& segment : parsed->segments()) {
    NOPTE_ASSERT(inside(segment.file, bytes));
    NOPTE_ASSERT(segment.memory_bytes != 0 && segment.file.size() <= segment.memory_bytes);
    NOPTE_ASSERT(kImageRange.contains({segment.va, segment.va + segment.memory_bytes}));
  }
}

void cpio(std::span<const u8> bytes) {
  const auto read = [&](u64 offset, void* to, u64 count) {
    NOPTE_ASSERT(offset <= bytes.size() && count <= bytes.size() - offset);
    std::memcpy(to, bytes.data() + offset, count);
    return true;
  };
  guest::files::CpioReader reader(bytes.size(), read);
  for (u64 entries = 0;; ++entries) {
    NOPTE_ASSERT(entries <= bytes.size());
    const auto entry = reader.next();
    if (!entry || !*entry) return;
    NOPTE_ASSERT((*entry)->data_offset <= bytes.size() &&
                 (*entry)->data_bytes <= bytes.size() - (*entry)->data_offset);
  }
}

void program(std::span<const u8> bytes) {
  namespace elf = guest::elf;
  elf::FileHeader header;
  if (bytes.size() < sizeof(header)) return;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (elf::check_header(header) != elf::Check::kGood) return;
  const u64 wanted = header.program_header_count * sizeof(elf::ProgramHeader);
  if (header.program_headers > bytes.size() || wanted > bytes.size() - header.program_headers) return;
  std::vector<elf::ProgramHeader> headers(header.program_header_count);
  std::memcpy(headers.data(), bytes.data() + header.program_headers, wanted);
  const elf::Layout layout = elf::check_program_headers(header, headers);
  if (layout.check != elf::Check::kGood) return;
  NOPTE_ASSERT(layout.span.page_aligned());
  for (u64 index = 0; index < headers.size(); ++index) {
    if (headers[index].type != elf::kTypeLoad) continue;
    const auto [file, zeros] = elf::memory_of(headers[index]);
    for (const VaRange range : {file, zeros, elf::tail_of(headers, index)}) {
      NOPTE_ASSERT(range.empty() ||
                   kUserRange.contains({range.begin + layout.bias, range.end + layout.bias}));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // A copy of its own, so that a read past the end is seen.
  const std::vector<u8> copy(data + 1, data + size);
  const std::span<const u8> bytes(copy);
  switch (data[0] % 6) {
    case 0:
      bundle(bytes);
      break;
    case 1:
      image(bytes);
      break;
    case 2:
      cpio(bytes);
      break;
    case 3:
      program(bytes);
      break;
    case 4: {
      const std::string_view text(reinterpret_cast<const char*>(copy.data()), copy.size());
      if (const auto options = hv::parse_options(text))
        NOPTE_ASSERT(options->guest_command_line.size() <= text.size());
      break;
    }
    case 5: {
      const auto code = bytes.first(std::min<std::size_t>(bytes.size(), hv::kMaxInstructionBytes));
      NOPTE_ASSERT(hv::decode_instruction(hv::InstructionBytes(code)).bytes <= code.size());
      break;
    }
  }
  return 0;
}
