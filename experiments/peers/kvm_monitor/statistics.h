// KVM's own counters, of a virtual machine or a processor (KVM_GET_STATS_FD; Linux,
// Documentation/virt/kvm/api.rst 4.133).
#pragma once

#include <vector>

#include "experiments/peers/kvm_monitor/counters_channel.h"

namespace kvm_monitor {

class Statistics {
 public:
  // `owner`: the descriptor of the virtual machine or processor. `known` tells whether this KVM has counters.
  explicit Statistics(int owner);

  [[nodiscard]] bool known() const { return !names_.empty(); }
  // Adds each counter of one number; histograms are left out.
  void read(std::vector<Counter>& found) const;

 private:
  struct Place {
    std::string name;
    uint32_t offset = 0;  // in the data
  };
  int file_ = -1;
  uint32_t data_offset_ = 0;
  uint32_t data_bytes_ = 0;
  std::vector<Place> names_;
};

}  // namespace kvm_monitor
