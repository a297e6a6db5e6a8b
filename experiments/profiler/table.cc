#include "experiments/profiler/table.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

namespace profiler {
namespace {

constexpr uint64_t kUpperHalf = uint64_t{1} << 63;

std::string take_word(Entry& entry, const std::string& word) {
  if (word == "whole")
    entry.whole = true;
  else if (word == "mark")
    entry.is_mark = true;
  else if (word == "switch")
    entry.is_switch = true;
  else if (word == "start")
    entry.is_start = true;
  else if (word == "bounce")
    entry.is_bounce = true;
  else if (word.starts_with("vector="))
    entry.vector = std::atoi(word.c_str() + 7);
  else
    return "what is " + word + "?";
  return "";
}

}  // namespace

std::string Table::read(std::istream& lines) {
  Image* image = nullptr;
  std::string file;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind >> std::hex;
    if (kind == "hypervisor") {
      words >> hypervisor_begin_ >> hypervisor_end_;
    } else if (kind == "host") {
      has_host_ = true;
      continue;
    } else if (kind == "ring0") {
      words >> ring0_begin_ >> ring0_end_;
    } else if (kind == "image") {
      words >> file;
      image = file == "hypervisor" ? &hypervisor_ : &kernel_;
    } else if (kind == "program") {
      std::getline(words >> std::ws, file);
      image = &programs_.emplace_back();
    } else if (kind == "segment" && image != nullptr) {
      uint64_t address = 0, offset = 0, bytes = 0;
      words >> address >> offset >> bytes;
      std::ifstream in(file, std::ios::binary);
      in.seekg(static_cast<std::streamoff>(offset));
      Segment& segment = image->segments.emplace_back(address, std::vector<uint8_t>(bytes));
      in.read(reinterpret_cast<char*>(segment.bytes.data()), static_cast<std::streamsize>(bytes));
      if (!in) return file + " cannot be read";
    } else if (kind == "function" && image != nullptr) {
      Entry entry;
      words >> entry.begin >> entry.end >> std::dec >> entry.function;
      if (words.fail()) return "a function without a number: " + line;
      for (std::string word; words >> word;) {
        if (std::string wrong = take_word(entry, word); !wrong.empty()) return wrong;
      }
      image->entries.push_back(entry);
      continue;
    } else {
      return "not a line of a table: " + line;
    }
    if (words.fail()) return "a line ends too soon: " + line;
  }
  const auto by_address = [](Image& one) { std::ranges::sort(one.entries, {}, &Entry::begin); };
  by_address(hypervisor_);
  by_address(kernel_);
  std::ranges::for_each(programs_, by_address);
  return "";
}

const Entry* Table::entry_at(const Image& image, uint64_t address) {
  const auto after = std::ranges::upper_bound(image.entries, address, {}, &Entry::begin);
  if (after == image.entries.begin()) return nullptr;
  const Entry& entry = *std::prev(after);
  return address < entry.end ? &entry : nullptr;
}

bool Table::holds(const Image& image, uint64_t address, std::span<const uint8_t> code) {
  return std::ranges::any_of(image.segments, [&](const Segment& segment) {
    return address >= segment.address && address - segment.address < segment.bytes.size() &&
           code.size() <= segment.bytes.size() - (address - segment.address) &&
           std::memcmp(segment.bytes.data() + (address - segment.address), code.data(), code.size()) == 0;
  });
}

// The program that ran last is asked first: it is the likelier one where two hold the same bytes.
Place Table::in_program(uint64_t address, std::span<const uint8_t> code) {
  Place place{World::kProgram, {address, address + 1, kUnknownProgram, true}, 0};
  uint32_t found = 0;
  if (last_program_ <= programs_.size() && holds(programs_[last_program_ - 1], address, code))
    found = last_program_;
  for (uint32_t number = 1; found == 0 && number <= programs_.size(); ++number) {
    if (holds(programs_[number - 1], address, code)) found = number;
  }
  if (found == 0) return place;
  last_program_ = place.program = found;
  if (const Entry* entry = entry_at(programs_[found - 1], address)) place.entry = *entry;
  return place;
}

Place Table::find_in_host(uint64_t address) const {
  const Entry* entry = entry_at(hypervisor_, address);
  return {World::kHypervisor, entry != nullptr ? *entry : Entry{0, 0, kUnknownHypervisor, true}, 0};
}

Place Table::find(uint64_t address, uint64_t physical, std::span<const uint8_t> code) {
  if (physical >= hypervisor_begin_ && physical < hypervisor_end_) return find_in_host(address);
  if (address >= ring0_begin_ && address < ring0_end_) {
    const Entry* entry = entry_at(hypervisor_, address);
    return {World::kRing0, entry != nullptr ? *entry : Entry{0, 0, kUnknownHypervisor, true}, 0};
  }
  if (const Entry* entry = entry_at(kernel_, address)) return {World::kKernel, *entry, 0};
  if (address >= kUpperHalf) return {World::kKernel, {0, 0, kUnknownKernel, true}, 0};
  const Place place = in_program(address, code);
  // Before paging is on.
  if (place.program == 0 && (address == physical || physical == 0)) {
    return {World::kKernel, {0, 0, kUnknownFirmware, true}, 0};
  }
  return place;
}

}  // namespace profiler
