// Counts what a random test did: operation and outcome. Printed, and every expected row must be frequent.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/strings/str_format.h>
#include <gtest/gtest.h>

#include <string>

#include "pvops/base/result.h"

namespace nopte::test {

class Histogram {
 public:
  void add(const char* operation, Status outcome) { ++counts_[{operation, status_name(outcome)}]; }
  void add(const char* operation, const char* outcome) { ++counts_[{operation, outcome}]; }

  void expect_at_least(const char* operation, Status outcome, u64 count) const {
    expect_at_least(operation, status_name(outcome), count);
  }
  void expect_at_least(const char* operation, const char* outcome, u64 count) const {
    const auto found = counts_.find({operation, outcome});
    EXPECT_GE(found == counts_.end() ? 0 : found->second, count)
        << operation << ": " << outcome << " was too rare";
  }
  void print() const {
    for (const auto& [key, count] : counts_) {
      absl::PrintF("  %-14s %-18s %10d\n", key.first, key.second, count);
    }
  }

 private:
  absl::btree_map<std::pair<std::string, std::string>, u64> counts_;
};

}  // namespace nopte::test
