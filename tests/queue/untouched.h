// A guest's space, and what it takes to unmap what the hypervisor has heard of.
#pragma once

#include "tests/queue/queue_guest.h"

namespace nopte::test {

class UntouchedTest : public QueueTest {
 protected:
  explicit UntouchedTest(u64 frames = 3000, u64 hidden_features = 0) : QueueTest(frames, hidden_features) {}

  // A region that the hypervisor has heard of.
  void map_heard(u64 page, u64 pages = 1, Perm perm = kPermRW) {
    EXPECT_TRUE(map(a_, page, pages, perm));
    heard(a_);
  }
  u64 unmap_exits(u64 page, u64 pages = 1) {
    return exits_of([&] { EXPECT_TRUE(unmap(a_, page, pages)); });
  }
  const SpaceId a_ = guest_.make_active();
};

}  // namespace nopte::test
