// One script over every kind of sink, once for each of its allocations, which then fails: the operation says
// so, everything still agrees, the same operation succeeds when issued again, and at the end nothing is lost.
#include <functional>

#include "tests/model/kinds.h"
#include "tests/model/places.h"
#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr Gva page(Gva base, u64 index) { return base + pages_to_bytes(index); }

template <class Kind>
class Script {
  using Format = typename World<Kind>::Format;
  // Across two leaf tables.
  static constexpr Gva kHeap{0x40'0000 + Format::table_bytes(1) - pages_to_bytes(20)};
  static constexpr Gva kFar = Places<Format>::kBase;

 public:
  // True when the nth allocation was reached.
  bool run(u64 nth) {
    world_.frames().fail_allocation(nth);
    if (!world_.start()) {
      // Nothing can run without a kernel space; frames of a start that failed are not counted.
      return true;
    }
    steps();
    const bool reached = failures_ != 0;
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
    world_.map(first_, {.range = VaRange::of_pages(kHeap, 40), .perm = kPermRW});
    world_.map(first_, {.range = VaRange::of_pages(kFar, 600),
                        .perm = kPermRW,
                        .sharing = Sharing::kPrivate,
                        .object = object_});
    world_.map(SpaceId::kKernel, {.range = VaRange::of_pages(Format::kWindowRange.begin, 600),
                                  .perm = kPermRW,
                                  .sharing = Sharing::kShared,
                                  .object = object_});
    for (u64 i = 0; i < 40; i += 3) write(page(kHeap, i), i + 1);
    write(page(Format::kWindowRange.begin, 0), 100, Privilege::kKernel);
    write(page(Format::kWindowRange.begin, 520), 620, Privilege::kKernel);
    write(page(kFar, 520), 7);
    expect(page(kFar, 0), 100);
    need([&] { return keep(child_, world_.clone(first_)); });
    write(page(kHeap, 3), 44);
    need([&] { return world_.move(first_, {kHeap, page(kHeap, 40)}, page(kFar, 1000)); });
    expect(page(kFar, 1003), 44);
    expect(page(kFar, 1006), 7);
    need([&] { return world_.advise(first_, {kFar, page(kFar, 30)}, Advice::kPopulate); });
    need([&]() -> Result<void> {
      const auto granted = world_.kmem_alloc(40);
      if (!granted) return Fail(granted.error());
      granted_ = *granted;
      return {};
    });
    expect(page(*granted_, 39), 0, Privilege::kKernel);
    need([&] { return world_.activate(child_); });
    expect(page(kHeap, 3), 4);
    write(page(kHeap, 6), 77);
    expect(page(kFar, 520), 7);
    need([&]() -> Result<void> {
      const auto window = world_.engine().object_window(object_, 599);
      if (!window) return Fail(window.error());
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
      ++failures_;
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

  World<Kind> world_{512, 2};
  SpaceId first_{};
  SpaceId child_{};
  ObjectId object_{};
  std::optional<Gva> granted_;
  unsigned failures_ = 0;
};

template <class Kind>
class AllocationFailure : public testing::Test {};
using Kinds = testing::Types<StoreInGuest, StoreInHypervisor, Xen, LguestLike, FiveLevelStore, PaeStore,
                             TwoLevelStore, ToldByKvmPv, ToldByVmi, ToldByLguest, Shadowed, Nested>;
TYPED_TEST_SUITE(AllocationFailure, Kinds);

TYPED_TEST(AllocationFailure, AtEveryOne) {
  u64 nth = 1;
  for (;; ++nth) {
    SCOPED_TRACE(testing::Message() << "allocation " << nth << " fails");
    Script<TypeParam> script;
    if (!script.run(nth) || this->HasFailure()) break;
  }
  // The script makes many more tables and pages than this.
  EXPECT_GT(nth, 100u);
}

}  // namespace
}  // namespace nopte::model
