// Mode kvmpv: a guest that says nonsense in and of its buffer, and what told.h tries.
#include "pvops/interfaces/kvm_pv.h"

#include "tests/boot/hostile/told.h"

namespace {

using namespace hostile;
using namespace abi::kvmpv;

Page g_buffer;

auto set_ptes(u64 first, u64 count, u64 flags) {
  return call(abi::Interface::kKvmPv, kSetPtes, first, count, flags);
}
auto release_pt(u64 address) { return call(abi::Interface::kKvmPv, kReleasePt, address, 0, 0); }

constexpr told::Told kTold{[](const u64& entry, u64 chance) {
                             const u64 index = chance % kSlots;
                             g_buffer.words[index] = physical(&entry);
                             accepted("an entry is told",
                                      set_ptes(index, 1, chance == 0 ? kTlbFlush : chance / kSlots % 4));
                           },
                           [](u64 address) { accepted("a table is released", release_pt(address)); }};

void buffers(u64 memory_bytes) {
  refused("SET_PTES without a buffer", kErrorInvalid, set_ptes(0, 1, 0));
  const u64 good = physical(&g_buffer) | kBufferEnable;
  for (const u64 bad : {memory_bytes | kBufferEnable, ~u64{0}, u64{1} << 63 | kBufferEnable,
                        u64{1} << 52 | kBufferEnable, good | 8, good & ~kBufferEnable}) {
    check("a buffer that is none", "", kGeneralProtection, write_msr(kBufferMsr, bad));
  }
  check("the buffer", "", kCompleted, write_msr(kBufferMsr, good));
}

void arguments(u64 memory_bytes) {
  for (unsigned bit = 3; bit < 12; ++bit)
    refused("a reserved flag", kErrorInvalid, set_ptes(0, 1, 1u << bit));
  refused("an address without INVLPG", kErrorInvalid, set_ptes(0, 1, kTlbFlush | 0x1000));
  refused("too many entries", kErrorInvalid, set_ptes(0, kSlots + 1, 0));
  refused("entries past the end", kErrorInvalid, set_ptes(kSlots - 1, 2, 0));
  refused("a sum that wraps", kErrorInvalid, set_ptes(~u64{0}, 2, 0));
  refused("a table that is not aligned", kErrorInvalid, release_pt(8));
  for (const u64 number : {0, 1, 2, 3, 8, 11, 0x7fff'ffff}) {
    refused("an unknown call", kErrorNoSuchCall,
            call(abi::Interface::kKvmPv, static_cast<u32>(number), 0, 1, 0));
  }
  u64& entry = told::level1.words[0];
  const u64 good = entry;
  for (const u64 foreign :
       {memory_bytes, memory_bytes + 0x1000'0000, u64{1} << 51, u64{1} << 63, ~u64{0xfff}}) {
    refused("a foreign table", kErrorFault, release_pt(foreign));
    entry = 0;  // would be seen if any of the batch were done
    g_buffer.words[0] = physical(&entry);
    g_buffer.words[1] = foreign;
    refused("a foreign entry", kErrorFault, set_ptes(0, 2, kTlbFlush));
    check("a refused batch", "", kCompleted, load(told::kVa));
    entry = good;
  }
  g_buffer.words[1] = physical(&entry) + 1;
  refused("an entry that is not aligned", kErrorFault, set_ptes(1, 1, 0));
  for (const u64 a : kNastyValues) {
    for (const u64 b : kNastyValues) {
      set_ptes(a, b, 0);
      set_ptes(0, a, b);
    }
    release_pt(a);
  }
}

// Everything is a table, and everything is released.
void all_memory(u64 memory_bytes) {
  for (u64 at = 0; at < memory_bytes; at += kPageBytes) {
    for (u64 slot = 0; slot < 8; ++slot) g_buffer.words[slot] = at + slot * 64 * sizeof(u64);
    accepted("any entry is told", set_ptes(0, 8, kTlbFlushCurrent));
    accepted("any frame is released", release_pt(at));
  }
}

u64 run(const abi::BootBlock& block) {
  const u64 before = calls_made();
  told::make_tables();
  buffers(block.memory_bytes);
  arguments(block.memory_bytes);
  told::frames(kTold, block.memory_bytes);
  told::tables(kTold);
  all_memory(block.memory_bytes);
  told::by_chance(kTold, block.memory_bytes);
  told::good_end(kTold);
  check("no buffer any more", "", kCompleted, write_msr(kBufferMsr, 0));
  return calls_made() - before;
}

[[gnu::section(".interfaces"), gnu::used]] const Interface g_interface{"kvmpv", run};

}  // namespace
