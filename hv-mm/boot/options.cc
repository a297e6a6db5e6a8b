#include "hv-mm/boot/options.h"

#include <algorithm>

#include "pvops/base/command_words.h"

namespace nopte::hv {
namespace {

// Empty, not digits, too large: what is said then.
struct NumberMessages {
  const char* empty;
  const char* digits;
  const char* large;
};

std::expected<u64, const char*> parse_number(std::string_view text, const NumberMessages& messages) {
  u64 value = 0;
  if (text.empty()) {
    return std::unexpected(messages.empty);
  }
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::unexpected(messages.digits);
    }
    if (__builtin_mul_overflow(value, u64{10}, &value) ||
        __builtin_add_overflow(value, static_cast<u64>(c - '0'), &value)) {
      return std::unexpected(messages.large);
    }
  }
  return value;
}

std::expected<u64, const char*> parse_memory(std::string_view text) {
  using Bad = std::unexpected<const char*>;
  const auto value =
      parse_number(text, {"memory= needs a number of bytes",
                          "memory= takes a number of bytes in decimal digits", "memory= is too large"});
  if (!value) {
    return value;
  }
  if (*value % kGuestAlignBytes != 0) {
    return Bad("memory= must be a multiple of 2 MiB (2097152)");
  }
  if (*value < kMinGuestBytes) {
    return Bad("memory= is too little: the guest needs at least 8 MiB (8388608)");
  }
  return value;
}

std::expected<u64, const char*> parse_output(std::string_view text) {
  return parse_number(text, {"output= needs a number of bytes",
                             "output= takes a number of bytes in decimal digits", "output= is too large"});
}

#define NOPTE_MODE_WORDS "mode=vma, nested, shadow, kvmpv, vmi, lguest or xen"

std::expected<Mode, const char*> parse_mode(std::string_view text) {
  struct Word {
    std::string_view text;
    Mode mode;
  };
  constexpr Word kWords[] = {{"vma", Mode::kVma},     {"nested", Mode::kNested}, {"shadow", Mode::kShadow},
                             {"kvmpv", Mode::kKvmPv}, {"vmi", Mode::kVmi},       {"lguest", Mode::kLguest},
                             {"xen", Mode::kXen}};
  for (const Word& word : kWords) {
    if (text == word.text) {
      return word.mode;
    }
  }
  return std::unexpected("unknown mode: the hypervisor knows " NOPTE_MODE_WORDS);
}

std::expected<void, const char*> hide(std::string_view names, Offer& offer) {
  struct Word {
    std::string_view text;
    u64 feature;
  };
  constexpr Word kWords[] = {{"memory", abi::kMemoryFeatures},
                             {"queue", abi::kFeatureRegionQueue | abi::kFeatureUntouchedWords},
                             {"words", abi::kFeatureUntouchedWords},
                             {"usage", abi::kFeatureUsage},
                             {"installed", abi::kFeatureInstalled},
                             {"switch", abi::kFeatureSpaceSwitch},
                             {"platform", abi::kFeaturePlatform},
                             {"xen", abi::kFeatureXen},
                             {"vmi", abi::kFeatureVmi},
                             {"lguest", abi::kFeatureLguest},
                             {"kvmpv", abi::kFeatureKvmPv}};
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(name.size() < names.size() ? name.size() + 1 : names.size());
    if (name == "version") {
      offer.abi_version = 0;
      continue;
    }
    const auto* const word = std::ranges::find(kWords, name, &Word::text);
    if (word == std::end(kWords)) {
      return std::unexpected(
          "unknown name in hide=: it takes memory, queue, words, usage, installed, switch, platform, xen, "
          "vmi, "
          "lguest, kvmpv and version");
    }
    offer.hidden_features |= word->feature;
  }
  return {};
}

}  // namespace

std::expected<Options, const char*> parse_options(std::string_view text) {
  using Bad = std::unexpected<const char*>;
  Options options;
  bool has_mode = false;
  bool has_memory = false;
  while (true) {
    const auto word_at = text.find_first_not_of(' ');
    if (word_at == std::string_view::npos) {
      break;
    }
    text.remove_prefix(word_at);
    const std::string_view word = text.substr(0, text.find(' '));
    if (word == "--" || word == "verbose" || word == "picture" || word.starts_with("aslr=")) {
      options.guest_command_line = text;
      options.offer.pictures = has_word(text, "picture");
      break;
    }
    if (word.starts_with("mode=")) {
      const auto mode = parse_mode(word.substr(5));
      if (!mode) {
        return Bad(mode.error());
      }
      options.mode = *mode;
      has_mode = true;
    } else if (word.starts_with("memory=")) {
      const auto bytes = parse_memory(word.substr(7));
      if (!bytes) {
        return Bad(bytes.error());
      }
      options.memory_bytes = *bytes;
      has_memory = true;
    } else if (word.starts_with("output=")) {
      const auto bytes = parse_output(word.substr(7));
      if (!bytes) {
        return Bad(bytes.error());
      }
      options.offer.output_bytes = *bytes;
    } else if (word.starts_with("hide=")) {
      if (const auto hidden = hide(word.substr(5), options.offer); !hidden) {
        return Bad(hidden.error());
      }
    } else {
      return Bad(
          "unknown option: the hypervisor takes mode=, memory=, hide=, output= and, from \"verbose\", "
          "\"picture\", aslr= or \"--\" on, what is the guest's");
    }
    text.remove_prefix(word.size());
  }
  if (!has_mode) {
    return Bad("mode= is missing: it takes " NOPTE_MODE_WORDS);
  }
  if (!has_memory) {
    return Bad("memory= is missing: how many bytes the guest gets");
  }
  return options;
}

}  // namespace nopte::hv
