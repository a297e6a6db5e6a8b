// One script over every kind of sink, once for each of its allocations, which then fails: the operation says
// so, everything still agrees, the same operation succeeds when issued again, and at the end nothing is lost.
#include <functional>

#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr Gva page(Gva base, u64 index) { return base + pages_to_bytes(index); }

class Script {
 public:
  explicit Script(const KindRow& kind) : world_(kind, 512, 2) {}

  // True when the nth allocation was reached.
  bool run(u64 nth) {
    world_.frames().fail_allocation(nth);
    if (!world_.start()) {
      // Nothing can run without a kernel space; frames of a start that failed are not counted.
      return true;
    }
    steps();
    const bool reached = !world_.frames().fails_later();
    world_.frames().fail_allocation(0);
    EXPECT_TRUE(!granted_ || world_.engine().kmem_free(*granted_, 40));
    world_.finish();
    return reached;
  }

 private:
  void steps() {
    need([&] { return keep(first_, world_.create()); });
    need([&] { return world_.activate(first_); });
    need([&] { return keep(object_, world_.object_create(600)); });
    world_.map(first_, {.range = VaRange::of_pages(heap_, 40), .perm = kPermRW});
    world_.map(first_, {.range = VaRange::of_pages(far_, 600),
                        .perm = kPermRW,
                        .sharing = Sharing::kPrivate,
                        .object = object_});
    world_.map(SpaceId::kKernel, {.range = VaRange::of_pages(window_, 600),
                                  .perm = kPermRW,
                                  .sharing = Sharing::kShared,
                                  .object = object_});
    for (u64 i = 0; i < 40; i += 3) write(page(heap_, i), i + 1);
    write(page(window_, 0), 100, Privilege::kKernel);
    write(page(window_, 520), 620, Privilege::kKernel);
    write(page(far_, 520), 7);
    expect(page(far_, 0), 100);
    need([&] { return keep(child_, world_.clone(first_)); });
    write(page(heap_, 3), 44);
    need([&] { return world_.move(first_, {heap_, page(heap_, 40)}, page(far_, 1000)); });
    expect(page(far_, 1003), 44);
    expect(page(far_, 1006), 7);
    need([&] { return world_.advise(first_, {far_, page(far_, 30)}, Advice::kPopulate); });
    need([&]() -> Result<void> {
      const auto granted = world_.kmem_alloc(40);
      if (!granted) return Fail(granted.error());
      granted_ = *granted;
      return {};
    });
    expect(page(*granted_, 39), 0, Privilege::kKernel);
    need([&] { return world_.activate(child_); });
    expect(page(heap_, 3), 4);
    write(page(heap_, 6), 77);
    expect(page(far_, 520), 7);
    need([&]() -> Result<void> {
      const auto last = world_.engine().object_pointer(object_, 599);
      if (!last) return Fail(last.error());
      return {};
    });
  }

  template <class T>
  static Result<void> keep(T& to, Result<T> result) {
    if (!result) return Fail(result.error());
    to = *result;
    return {};
  }
  // May fail once.
  void need(const std::function<Result<void>()>& step) {
    Result<void> result = step();
    if (!result) {
      EXPECT_EQ(result.error(), Status::kNoMemory);
      world_.check();
      result = step();
    }
    ASSERT_TRUE(result);
    world_.check();
  }
  void write(Gva va, u64 value, Privilege privilege = Privilege::kUser) {
    need([&]() -> Result<void> {
      const ViolationReason reason = world_.write(va, value, privilege);
      if (reason == ViolationReason::kNone) return {};
      EXPECT_EQ(reason, ViolationReason::kNoMemory);
      return Fail(Status::kNoMemory);
    });
  }
  void expect(Gva va, u64 value, Privilege privilege = Privilege::kUser) {
    need([&]() -> Result<void> {
      const auto found = world_.read(va, privilege);
      if (!found) return Fail(Status::kNoMemory);
      EXPECT_EQ(*found, value);
      return {};
    });
  }

  World world_;
  // Across two leaf tables.
  const Gva heap_{0x40'0000 + world_.layout().leaf_table_bytes - pages_to_bytes(20)};
  const Gva far_ = world_.layout().base;
  const Gva window_ = world_.layout().windows.begin;
  SpaceId first_{};
  SpaceId child_{};
  ObjectId object_{};
  std::optional<Gva> granted_;
};

class AllocationFailure : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, AllocationFailure, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(AllocationFailure, AtEveryOne) {
  u64 nth = 1;
  for (;; ++nth) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth << " fails");
    Script script(*GetParam());
    if (!script.run(nth) || HasFailure()) break;
  }
  // The script makes many more tables and pages than this.
  EXPECT_GT(nth, 100u);
}

}  // namespace
}  // namespace nopte::model
