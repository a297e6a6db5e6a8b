#include "tests/unit/hv-mm/vma_fixture.h"

template class nopte::hv::VmaMemory<nopte::hv::PlainSink>;

namespace nopte::hv {

VmaMemoryTest::VmaMemoryTest(u64 frame_count) : frame_count_(frame_count) {
  const pt::FrameRange all = memory_model_.range();
  EXPECT_TRUE(frames_.init(memory_model_.direct_base(), all, {&all, 1}));
  EXPECT_TRUE(engine_.init());
  memory_.init();
}

CallResult VmaMemoryTest::call(Call number, Registers registers) {
  stop_.meter.begin();
  const CallResult result = memory_.call(static_cast<u64>(number), registers);
  stop_.meter.look();
  if (number != Call::space_clone && number != Call::region_move) {
    EXPECT_LE(stop_.meter.most(), work::kMostAtOnce) << static_cast<u64>(number);
    EXPECT_TRUE(stop_.meter.kept()) << static_cast<u64>(number);
  }
  return result;
}

u64 VmaMemoryTest::make_space() {
  const CallResult made = call(Call::space_create);
  EXPECT_EQ(made.status, Status::kOk);
  return made.value;
}

Status VmaMemoryTest::map(u64 space, Gva begin, u64 pages, u64 flags, u64 object, u64 object_page) {
  return call(Call::region_map, {space, begin.value(), pages, flags, object, object_page}).status;
}

bool VmaMemoryTest::touch(Gva va, Access access) {
  return memory_.fault(va, access, pt::Privilege::kUser).has_value();
}

void VmaMemoryTest::expect_promised(u64 space) {
  const SpaceId id{static_cast<u32>(space)};
  const RegionTree& tree = **memory_.declared(id);
  EXPECT_TRUE(tree.consistent());
  engine_.for_each_installed(id, [&](Gva va, const auto& installed) {
    const auto region = tree.find(va);
    ASSERT_TRUE(region.has_value()) << std::hex << va.value();
    EXPECT_EQ(installed.rights.bits() & ~region->perm.bits(), 0) << std::hex << va.value();
  });
}

CallResult VmaAgainTest::until_done(Stub stub, Call number, Registers registers,
                                    const std::function<void()>& between) {
  issues_ = 0;
  for (;;) {
    const CallResult result = call(number, registers);
    if (++issues_; result.status != Status::kAgain) return result;
    if (issues_ > 5000) {
      ADD_FAILURE() << "no progress: " << static_cast<u64>(number);
      return result;
    }
    between();
    if (stub == Stub::kIssuesAgain) continue;
    registers[1] += pages_to_bytes(result.value);
    registers[2] -= result.value;
  }
}

u64 VmaAgainTest::active_space() {
  const u64 space = make_space();
  EXPECT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  return space;
}

u64 VmaAgainTest::installed(u64 space) {
  u64 count = 0;
  engine_.for_each_installed(SpaceId(static_cast<u32>(space)), [&](Gva, const auto& found) {
    count += found.level == 1 ? 1 : pt::kBlockFrames;
  });
  return count;
}

}  // namespace nopte::hv
