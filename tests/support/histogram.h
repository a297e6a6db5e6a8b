// Counts what a random test did: operation and outcome. Printed, and every expected row must be frequent.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <string>

#include "pvops/base/result.h"

namespace nopte::test {

class Histogram {
 public:
  void add(const char* operation, Status outcome) { ++counts_[{operation, status_name(outcome)}]; }
  void add(const char* operation, const char* outcome) { ++counts_[{operation, outcome}]; }

  void expect_at_least(const char* operation, Status outcome, u64 count) const {
    const auto found = counts_.find({operation, status_name(outcome)});
    EXPECT_GE(found == counts_.end() ? 0 : found->second, count)
        << operation << ": " << status_name(outcome) << " was too rare";
  }
  void print() const {
    for (const auto& [key, count] : counts_) {
      std::printf("  %-14s %-18s %10llu\n", key.first.c_str(), key.second.c_str(),
                  static_cast<unsigned long long>(count));
    }
  }

 private:
  std::map<std::pair<std::string, std::string>, u64> counts_;
};

}  // namespace nopte::test
