// The words of a kernel's command line. What follows "--" is the program and its arguments.
#pragma once

#include <optional>
#include <string_view>

namespace nopte {

// `word` stands among the words before "--".
[[gnu::cold]] constexpr bool has_word(std::string_view line, std::string_view word) {
  while (!line.empty()) {
    const std::string_view next = line.substr(0, line.find(' '));
    if (next == word) return true;
    if (next == "--") return false;
    line.remove_prefix(next.size() < line.size() ? next.size() + 1 : next.size());
  }
  return false;
}

// What follows `name`, which ends in "=", in the word that begins so; nothing: there is none.
[[gnu::cold]] constexpr std::optional<std::string_view> word_value(std::string_view line,
                                                                   std::string_view name) {
  while (!line.empty()) {
    const std::string_view next = line.substr(0, line.find(' '));
    if (next.starts_with(name)) return next.substr(name.size());
    if (next == "--") return std::nullopt;
    line.remove_prefix(next.size() < line.size() ? next.size() + 1 : next.size());
  }
  return std::nullopt;
}

}  // namespace nopte
