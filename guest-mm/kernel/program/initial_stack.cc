#include "guest-mm/kernel/program/initial_stack.h"

#include <cstring>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/process/rseq.h"
#include "guest-mm/kernel/system/random.h"

namespace nopte::guest {

namespace {

enum Auxiliary : u64 {
  kEnd = 0,
  kPhdr = 3,
  kPhent = 4,
  kPhnum = 5,
  kPagesz = 6,
  kBase = 7,
  kFlags = 8,
  kEntry = 9,
  kUid = 11,
  kEuid = 12,
  kGid = 13,
  kEgid = 14,
  kPlatform = 15,
  kHwcap = 16,
  kClktck = 17,
  kSecure = 23,
  kRandom = 25,
  kHwcap2 = 26,
  kRseqFeatureSize = 27,
  kRseqAlignment = 28,
  kExecfn = 31,
  kMinSigStack = 51,
};
constexpr u64 kAuxiliaryPairs = 22;
constexpr u64 kRandomBytes = 16;
constexpr u64 kProgramHeaderBytes = 56;
// CPUID 1 EDX as every x86-64 processor has it.
constexpr u64 kBaselineHwcap = 0x078b'fbff;
constexpr u64 kSignalStackBytes = 2048;

// Appends 8-byte words.
struct WordWriter {
  u64* next;
  void put(u64 word) { *next++ = word; }
  void put(Auxiliary type, u64 value) {
    put(static_cast<u64>(type));
    put(value);
  }
};

constexpr u64 kIdentityPairs = 5;
void put_identity(WordWriter& out, const IdentityFacts& identity) {
  out.put(kUid, identity.user);
  out.put(kEuid, identity.effective_user);
  out.put(kGid, identity.group);
  out.put(kEgid, identity.effective_group);
  out.put(kSecure, identity.secure ? 1 : 0);
}

}  // namespace

// From the lower end: words, then the strings: arguments, environment, file name, platform, random bytes.
Result<InitialStack> stage_initial_stack(ProgramArguments& arguments, const ImageFacts& facts,
                                         std::string_view file_name, Gva top) {
  const u64 strings_bytes = arguments.bytes();
  NOPTE_TRY(arguments.add(file_name));
  const u64 platform_offset = arguments.bytes();
  NOPTE_TRY(arguments.add("x86_64"));
  const Result<void*> random = arguments.add_space(kRandomBytes);
  if (!random) {
    return Fail(random.error());
  }
  fill_random(*random, kRandomBytes);
  const u64 random_offset = arguments.bytes() - kRandomBytes;
  const u64 text_bytes = arguments.bytes();  // a multiple of 16

  const u64 words = 1 + arguments.arguments + 1 + arguments.environment + 1 + 2 * kAuxiliaryPairs;
  const u64 words_bytes = (words * sizeof(u64) + 15) & ~u64{15};
  // The image is made behind the strings, so that one copy suffices to place it.
  const Result<void*> place = arguments.add_space(words_bytes + text_bytes);
  if (!place) {
    return Fail(place.error());
  }
  const Gva begin = top - 16 - (words_bytes + text_bytes);
  const Gva text = begin + words_bytes;
  std::memcpy(static_cast<char*>(*place) + words_bytes, arguments.data(), text_bytes);

  WordWriter out{static_cast<u64*>(*place)};
  const char* string = arguments.data();
  const char* first = string;
  out.put(arguments.arguments);
  const auto put_strings = [&](u64 count) {
    for (u64 index = 0; index < count; ++index) {
      out.put((text + static_cast<u64>(string - first)).value());
      string += std::strlen(string) + 1;
    }
    out.put(0);
  };
  put_strings(arguments.arguments);
  put_strings(arguments.environment);
  out.put(kHwcap, kBaselineHwcap);
  out.put(kPagesz, kPageBytes);
  out.put(kClktck, 100);
  out.put(kPhdr, facts.program_headers);
  out.put(kPhent, kProgramHeaderBytes);
  out.put(kPhnum, facts.program_header_count);
  out.put(kBase, facts.interpreter_base);
  out.put(kFlags, 0);
  out.put(kEntry, facts.entry);
  const Gva identity_at =
      begin + static_cast<u64>(reinterpret_cast<char*>(out.next) - static_cast<char*>(*place));
  put_identity(out, facts.identity);
  out.put(kRandom, (text + random_offset).value());
  out.put(kHwcap2, 0);
  out.put(kExecfn, (text + strings_bytes).value());
  out.put(kPlatform, (text + platform_offset).value());
  out.put(kRseqFeatureSize, kRseqFeatureBytes);
  out.put(kRseqAlignment, kRseqAlign);
  out.put(kMinSigStack, kSignalStackBytes);
  out.put(kEnd, 0);
  return InitialStack{begin, *place, words_bytes + text_bytes, identity_at};
}

Result<void> retell_identity(Gva identity_at, const IdentityFacts& identity) {
  u64 words[2 * kIdentityPairs];
  WordWriter out{words};
  put_identity(out, identity);
  return arch::copy_to_user(identity_at, words, sizeof(words));
}

}  // namespace nopte::guest
