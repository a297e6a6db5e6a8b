#include "hv-mm/launch.h"

#include <algorithm>
#include <cstring>

#include "hv-mm/container/msr_policy.h"

namespace nopte::hv {
namespace {
constexpr u64 kBootReachBytes = u64{1} << 30;  // what the image's boot tables map
constexpr u16 kCodeAttributes = 0xa9b;         // present, code, readable, accessed, long, 4 KiB units
constexpr u16 kDataAttributes = 0xc93;
constexpr u16 kLdtAttributes = 0x82;
constexpr u16 kTaskAttributes = 0x8b;
}  // namespace

abi::BootBlock make_boot_block(const Launch& launch, abi::BootKind kind) {
  abi::BootBlock block;
  block.kind = kind;
  block.under_hypervisor = 1;
  block.memory_bytes = launch.guest.bytes;
  block.tsc_hz = launch.tsc_hz;
  block.boot_wall_ns = launch.boot_wall_ns;
  block.initramfs_bytes = launch.initramfs.size();
  const std::string_view line = launch.options.guest_command_line;
  block.command_line_bytes = std::min<u64>(line.size(), abi::kCommandLineBytes);
  std::memcpy(block.command_line, line.data(), block.command_line_bytes);
  return block;
}

std::expected<u64, const char*> load_physical(const Launch& launch) {
  u8* const memory = launch.guest_memory();
  return load_physical(launch, [memory](u64 page) { return memory + pages_to_bytes(page); });
}

std::expected<u64, const char*> load_physical(const Launch& launch, FunctionRef<u8*(u64)> pointer) {
  constexpr const char* kTooLittle =
      "too little memory: memory= does not hold the guest image and its initramfs";
  const u64 limit = std::min(launch.guest.bytes, kBootReachBytes);
  const u64 block_at = (launch.image->physical_end() + kPageMask) & ~kPageMask;
  const u64 initramfs_at = block_at + pages_to_bytes(bytes_to_pages(sizeof(abi::BootBlock)));
  if (initramfs_at > limit || launch.initramfs.size() > limit - initramfs_at) {
    return std::unexpected(kTooLittle);
  }
  // Contents, then zeros up to `bytes`, page by page.
  const auto place = [&](u64 physical, std::span<const u8> contents, u64 bytes) {
    for (u64 done = 0; done < bytes;) {
      const u64 at = physical + done;
      const u64 chunk = std::min(bytes - done, kPageBytes - (at & kPageMask));
      const u64 copied = done < contents.size() ? std::min(chunk, contents.size() - done) : 0;
      u8* const to = pointer(at >> kPageShift) + (at & kPageMask);
      if (copied != 0) std::memcpy(to, contents.data() + done, copied);
      std::memset(to + copied, 0, chunk - copied);
      done += chunk;
    }
  };
  for (const GuestSegment& segment : launch.image->segments()) {
    place(segment.guest_physical, segment.file, segment.memory_bytes);
  }
  abi::BootBlock block = make_boot_block(launch, abi::BootKind::kPhysical);
  block.initramfs_physical = launch.initramfs.empty() ? 0 : initramfs_at;
  place(block_at, {reinterpret_cast<const u8*>(&block), sizeof(block)}, sizeof(block));
  place(initramfs_at, launch.initramfs, launch.initramfs.size());
  return block_at;
}

void set_entry_state(Vcpu& vcpu, u64 rip, u64 boot_block) {
  Vmcb& v = vcpu.vmcb();
  v.cs = {0x10, kCodeAttributes, 0xffff'ffff, 0};
  v.ds = v.es = v.ss = {0x18, kDataAttributes, 0xffff'ffff, 0};
  v.gdtr = v.idtr = {};
  v.fs = v.gs = {};
  v.ldtr = {0, kLdtAttributes, 0xffff, 0};
  v.tr = {0, kTaskAttributes, 0xffff, 0};
  v.cpl = 0;
  v.efer = abi::kEntryEfer | kEferSvme;
  v.cr0 = abi::kEntryCr0;
  v.cr4 = abi::kEntryCr4;
  v.cr2 = 0;
  v.dr6 = 0xffff'0ff0;
  v.dr7 = 0x400;
  v.rflags = 2;
  v.rip = rip;
  v.rsp = 0;
  v.rax = 0;
  v.guest_pat = kResetPat;
  vcpu.registers() = {};
  vcpu.gpr(7) = boot_block;
}

}  // namespace nopte::hv
