#include "experiments/peers/kvm_monitor/statistics.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace kvm_monitor {
namespace {

// kvm_stats_desc as it is in C, its name behind it: in C++ the header's array without a length takes room.
struct Description {
  uint32_t flags = 0;
  int16_t exponent = 0;
  uint16_t numbers = 0;
  uint32_t offset = 0;
  uint32_t bucket_bytes = 0;
};

}  // namespace

Statistics::Statistics(int owner) : file_(ioctl(owner, KVM_GET_STATS_FD, nullptr)) {
  kvm_stats_header header{};
  if (file_ < 0 || pread(file_, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) return;
  data_offset_ = header.data_offset;
  const size_t entry_bytes = sizeof(Description) + header.name_size;
  std::vector<char> entries(entry_bytes * header.num_desc);
  if (pread(file_, entries.data(), entries.size(), header.desc_offset) !=
      static_cast<ssize_t>(entries.size()))
    return;
  for (size_t at = 0; at < entries.size(); at += entry_bytes) {
    Description entry;
    std::memcpy(&entry, &entries[at], sizeof entry);
    if (entry.numbers != 1) continue;
    const char* name = &entries[at + sizeof entry];
    names_.push_back({std::string(name, strnlen(name, header.name_size)), entry.offset});
    data_bytes_ = std::max<uint32_t>(data_bytes_, entry.offset + sizeof(uint64_t));
  }
}

void Statistics::read(std::vector<Counter>& found) const {
  std::vector<char> data(data_bytes_);
  if (pread(file_, data.data(), data.size(), data_offset_) != static_cast<ssize_t>(data.size())) return;
  for (const Place& place : names_) {
    Counter counter{place.name};
    std::memcpy(&counter.value, &data[place.offset], sizeof counter.value);
    found.push_back(counter);
  }
}

}  // namespace kvm_monitor
